"""What a diff says, and what it must never leave out, in worlds of one or two networks."""

from ipaddress import ip_network
from itertools import product

import pytest

from calico_rkt.compiler.ir import Action, Rule, ToHost
from calico_rkt.compiler.review.diff import diff
from tests.worlds import conf, world

DB = conf("db", ip_network("10.2.0.0/24"))
EVERYTHING = (Rule(Action.ALLOW),)
PASSES = {ToHost.DROP: False, ToHost.RETURN: None, ToHost.ACCEPT: True}
ORDER = list(PASSES)


@pytest.mark.parametrize(("before", "after"), [*product(ToHost, ToHost)])
def test_endpoint_to_host_is_seen_to_change(before, after):
    found = diff(*(world([DB], {"db": ((), EVERYTHING, to_host)}) for to_host in (before, after)))
    said = [(c.widened, c.sources, c.destinations, c.before.allowed, c.after.allowed) for c in found.changes]
    wider = ORDER.index(after) > ORDER.index(before)
    assert said == ([] if before is after else [(wider, ("db",), ("host",), PASSES[before], PASSES[after])])


def test_a_host_that_felix_decides_about_is_another_than_one_that_accepts():
    accepts = {"db": ((), EVERYTHING, ToHost.ACCEPT)}
    local = world([DB], accepts)
    cluster = world([conf("db", ip_network("10.2.0.0/24"), datastore="etcdv3")], accepts)
    assert [(c.widened, c.destinations) for c in diff(local, cluster).changes] == [(False, ("host",))]
    assert [(c.widened, c.destinations) for c in diff(cluster, local).changes] == [(True, ("host",))]
