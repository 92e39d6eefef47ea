"""Networks of two datastores in one world: what the rules of one see of the other's endpoints."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.model import Action, Match, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import ALL, has, negate
from calico_rkt.compiler.review.diff import diff_worlds
from calico_rkt.compiler.review.matrix import cell_words, matrix_of
from tests.worlds import conf, world

A, B, C = (ip_network(f"10.{n}.0.0/24") for n in (1, 2, 3))
ANY = (Rule(Action.ALLOW),)


def between(rule, store, *, egress=False):
    """What passes from a to b, where b is in such a datastore; the rule is in the list that the direction names."""
    given = {"a": ((), (rule,) if egress else ANY), "b": (ANY if egress else (rule,), ())}
    return world([conf("a", A), conf("b", B, datastore=store)], given)


def passes(here):
    return cell_words(matrix_of(here).cells["a", "b"])


@pytest.mark.parametrize("store", ["etcdv2", "etcdv3"])
@pytest.mark.parametrize("egress", [True, False])
def test_who_enforces_knows_no_endpoint_of_another_datastore(store, egress):
    end, own, other = ("destination", "a", "b") if egress else ("source", "b", "a")
    for side, here, there in (
        (Side(selector=has(other)), "everything", "nothing"),
        (Side(selector=ALL), "everything", "nothing"),
        (Side(selector=negate(has(own))), "everything", "nothing"),
        (Side(not_selector=ALL), "nothing", "everything"),
        (Side(not_selector=has(other)), "nothing", "everything"),
        (Side(nets=(B if egress else A,)), "everything", "everything"),
    ):
        rule = Rule(Action.ALLOW, Match(**{end: side}))
        assert passes(between(rule, "local", egress=egress)) == here, side
        assert passes(between(rule, store, egress=egress)) == there, side


def test_a_rule_that_keeps_another_datastores_endpoints_out_by_name_keeps_none_out():
    rules = {"a": ((), ANY), "b": ((Rule(Action.DENY, Match(source=Side(selector=has("a")))), *ANY), ())}
    both = [world([conf("a", A), conf("b", B, datastore=store)], rules) for store in ("local", "etcdv3")]
    assert [passes(w) for w in both] == ["nothing", "everything"]


def test_a_diff_tells_what_a_move_to_another_datastore_opens_and_closes():
    by_name = Rule(Action.ALLOW, Match(source=Side(selector=has("a"))))
    for rule, wider in ((by_name, False), (Rule(Action.ALLOW, Match(source=Side(not_selector=has("a")))), True)):
        local, apart = between(rule, "local"), between(rule, "etcdv3")
        for old, new, said in ((local, apart, wider), (apart, local, not wider)):
            found = [(c.widened, c.sources, c.destinations) for c in diff_worlds(old, new).changes]
            assert (said, ("a",), ("b",)) in found, found
    assert not diff_worlds(apart, between(rule, "etcdv3")).changes


def test_a_diff_tells_what_changes_for_each_of_two_networks_whose_datastores_differ():
    """The list of one network is not the same to both of them: what was found of it for one holds for that one."""
    stores = ("local", "local", "etcdv3")

    def here(rules, stores=stores):
        confs = [conf(n, net, datastore=s) for n, net, s in zip("abc", (A, B, C), stores, strict=True)]
        return world(confs, {"a": (rules, ANY), "b": ((), ANY), "c": ((), ANY)})

    to_b = Rule(Action.ALLOW, Match(source=Side(selector=has("b"))))
    strangers = Rule(Action.ALLOW, Match(source=Side(not_selector=ALL)))
    by_name = Rule(Action.ALLOW, Match(source=Side(selector=has("c"))))
    for old, new, widened in (
        (here(()), here((to_b, strangers)), True),
        (here((to_b, strangers)), here(()), False),
        (here((by_name,), ("local",) * 3), here((by_name, to_b)), False),
    ):
        found = [(c.widened, s) for c in diff_worlds(old, new).changes if c.destinations == ("a",) for s in c.sources]
        assert (widened, "c") in found, found


def test_what_a_rule_by_name_opens_is_seen_also_where_another_datastores_network_is_asked_about_first():
    """That one's pair meets the list without its selectors: of it nothing changed."""
    ssh, by_name = Rule(Action.ALLOW, Match(protocol=6)), Rule(Action.ALLOW, Match(source=Side(selector=has("a"))))
    confs = [conf("0", ip_network("10.0.0.0/24"), datastore="etcdv3"), conf("a", A), conf("b", B)]
    old, new = (world(confs, {"0": ((), ANY), "a": ((), ANY), "b": (rules, ())}) for rules in ((ssh,), (ssh, by_name)))
    for before, after, wider in ((old, new, True), (new, old, False)):
        found = {(c.widened, c.sources, c.destinations) for c in diff_worlds(before, after).changes}
        assert found == {(wider, ("a",), ("b",))}


def test_a_diff_beside_networks_of_another_datastore_asks_each_of_them_that_differs():
    """What they say to others than these is not asked, and does not make two of them alike."""
    by_port = Rule(
        Action.ALLOW, Match(protocol=6, source=Side(nets=(A,)), destination=Side(ports=(PortRange(80, 80),)))
    )

    def here(egress):
        confs = [conf("a", A), conf("b", B, datastore="etcdv3"), conf("c", C, datastore="etcdv3")]
        found = world(confs, {"a": ((), egress), "b": ((), ()), "c": ((by_port,), ())})
        return replace(found, beside={"b": True, "c": True})

    found = diff_worlds(here(()), here(ANY)).changes
    assert [d for c in found for d in c.destinations if d in "bc"] == ["c"]


def test_a_rule_that_stands_as_it_stood_is_no_cause_where_an_end_moved():
    by_name = Rule(Action.ALLOW, Match(source=Side(selector=has("a"))), Span("b.yaml", 3, 1, 2))
    local, apart = between(by_name, "local"), between(by_name, "etcdv3")
    for old, new in ((local, apart), (apart, local)):
        (found,) = [c for c in diff_worlds(old, new).changes if c.sources == ("a",) and c.destinations == ("b",)]
        assert [c.what for c in found.causes] == ["the datastore of b"]
    other = replace(by_name, span=Span("b.yaml", 4, 1, 2), match=Match(protocol=6, source=by_name.match.source))
    (found,) = [c for c in diff_worlds(between(other, "local"), apart).changes if c.destinations == ("b",)]
    assert [c.what for c in found.causes] == ["the conf of b"], "a rule of a line that no file here has"
