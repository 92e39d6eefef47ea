"""What a diff says, and what it must never leave out, in worlds of one or two networks."""

from ipaddress import ip_network
from itertools import product

import pytest

from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Action, Match, Rule, ToHost
from calico_rkt.compiler.review.diff import diff_worlds
from tests.worlds import conf, world

DB = conf("db", ip_network("10.2.0.0/24"))
EVERYTHING = (Rule(Action.ALLOW),)
PASSES = {ToHost.DROP: False, ToHost.RETURN: None, ToHost.ACCEPT: True}
ORDER = list(PASSES)


@pytest.mark.parametrize(("before", "after"), [*product(ToHost, ToHost)])
def test_endpoint_to_host_is_seen_to_change(before, after):
    found = diff_worlds(*(world([DB], {"db": ((), EVERYTHING, to_host)}) for to_host in (before, after)))
    said = [(c.widened, c.sources, c.destinations, c.before.allowed, c.after.allowed) for c in found.changes]
    wider = ORDER.index(after) > ORDER.index(before)
    assert said == ([] if before is after else [(wider, ("db",), ("host",), PASSES[before], PASSES[after])])


def test_a_host_that_felix_decides_about_is_another_than_one_that_accepts():
    accepts = {"db": ((), EVERYTHING, ToHost.ACCEPT)}
    local = world([DB], accepts)
    cluster = world([conf("db", ip_network("10.2.0.0/24"), datastore="etcdv3")], accepts)
    assert [(c.widened, c.destinations) for c in diff_worlds(local, cluster).changes] == [(False, ("host",))]
    assert [(c.widened, c.destinations) for c in diff_worlds(cluster, local).changes] == [(True, ("host",))]


def test_what_was_denied_and_what_the_host_decided_about_are_two_flows():
    tcp = (Rule(Action.ALLOW, Match(protocol=6)),)
    old = world([DB], {"db": ((), tcp, ToHost.RETURN)})
    new = world([DB], {"db": ((), EVERYTHING, ToHost.ACCEPT)})
    found = [c for c in diff_worlds(old, new).changes if "host" in c.destinations]
    assert {(str(c.flow), c.before.allowed) for c in found} == {("TCP", None), ("all but TCP", False)}


def test_networks_whose_flow_had_another_verdict_are_told_of_apart():
    ab = [conf(n, ip_network(net)) for n, net in (("a", "10.1.0.0/24"), ("b", "10.2.0.0/24"))]
    rules = [{"a": ((), EVERYTHING, one), "b": ((), EVERYTHING, ToHost.ACCEPT)} for one in (ToHost.DROP, ToHost.ACCEPT)]
    rules[0]["b"] = ((), EVERYTHING, ToHost.RETURN)
    found = diff_worlds(world(ab, rules[0]), world(ab, rules[1])).changes
    assert [(c.sources, c.before.allowed) for c in found] == [(("a",), False), (("b",), None)]


def test_a_network_called_as_the_id_of_another_is_itself():
    names = "Db", object_id("Db")
    both = [conf(n, ip_network(net)) for n, net in zip(names, ("10.1.0.0/24", "10.2.0.0/24"), strict=True)]
    old = world(both, dict.fromkeys(names, ((), ())))
    new = world(both, {names[0]: ((), ()), names[1]: ((), EVERYTHING)})
    assert {c.sources for c in diff_worlds(old, new).changes} == {(names[1],)}
