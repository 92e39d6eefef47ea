"""Claims about networks that share addresses: each pair is found, and finding none takes no look at every pair."""

from __future__ import annotations

from ipaddress import ip_network
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.workspace.clashes import _nested

NETS = st.builds(
    lambda text, length: ip_network((text, length), strict=False),
    st.sampled_from(["10.0.0.0", "10.0.0.128", "10.0.1.0", "10.128.0.0", "0.0.0.0"]),
    st.sampled_from([0, 1, 8, 23, 24, 25, 30, 32]),
) | st.sampled_from([ip_network("fd00::/64"), ip_network("fd00::/8"), ip_network("::/0"), ip_network("fd01::/64")])


@given(st.lists(st.tuples(st.sampled_from(["local", "etcdv3"]), st.lists(NETS, max_size=3)), max_size=6))
def test_the_pairs_are_those_that_a_look_at_every_pair_finds(networks):
    slowly = [
        (a, b)
        for a, b in combinations(range(len(networks)), 2)
        if networks[a][0] == networks[b][0]
        and any(x.version == y.version and x.overlaps(y) for x in networks[a][1] for y in networks[b][1])
    ]
    assert _nested(networks) == slowly
