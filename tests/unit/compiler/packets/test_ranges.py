"""CIDRs for a set of cells: with a bound, the same ones or more than the bound."""

from ipaddress import IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.ir.model import Action, Match, Rule, Side
from calico_rkt.compiler.packets.ranges import prefixes
from calico_rkt.compiler.packets.space import SOURCE, Space

NETS = [IPv4Network((n << 24, 28)) for n in range(12)]
SPACE = Space([Rule(Action.ALLOW, Match(ip_version=4, source=Side(nets=(net,)))) for net in NETS])
CELLS = len(SPACE.cuts[SOURCE])
masks = st.integers(0, (1 << CELLS) - 1)


@given(masks, masks, st.integers(0, 12))
def test_a_bound_changes_nothing_below_it(needed, allowed, most):
    whole = prefixes(SPACE, SOURCE, needed, allowed, 1000)
    bound = prefixes(SPACE, SOURCE, needed, allowed, most)
    assert bound == whole if len(whole) <= most else len(bound) > most
