"""Nets are joined into the fewest: the same that the standard library finds, whatever lies in or beside what."""

from ipaddress import collapse_addresses, ip_network

from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.ir.model import NameRef
from calico_rkt.compiler.passes.merge import joined_nets


def _nets(version, bits, base):
    """Nets near each other: many are in one another, or the other half."""
    return st.builds(
        lambda length, low: ip_network((base + (low >> bits - length << bits - length), length)),
        st.integers(bits - 6, bits),
        st.integers(0, 63),
    ) | st.sampled_from([ip_network(("0.0.0.0" if version == 4 else "::", n)) for n in (0, 1)])


some = st.lists(_nets(4, 32, 0) | _nets(4, 32, 10 << 24), max_size=12)
more = st.lists(_nets(6, 128, 0) | _nets(6, 128, 0xFD << 120), max_size=12)


@given(some, more)
def test_the_fewest_are_found(v4, v6):
    given_ = [net for pair in zip(v6, v4, strict=False) for net in pair] + v4 + v6
    expected = (*sorted(collapse_addresses(v4)), *sorted(collapse_addresses(v6)))
    assert joined_nets([*given_, NameRef("a")]) == expected


def test_all_addresses_of_a_family_are_one_net():
    assert joined_nets(map(ip_network, ("128.0.0.0/1", "0.0.0.0/1", "8000::/1", "::/1"))) == (
        ip_network("0.0.0.0/0"),
        ip_network("::/0"),
    )
