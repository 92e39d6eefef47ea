"""Pairs of one key have one answer, and those that a rule tells apart have two keys."""

from ipaddress import ip_network

import pytest

from calico_rkt.compiler.ir.model import Action, Match, Rule, Side
from calico_rkt.compiler.ir.selector import has
from calico_rkt.compiler.ir.selector_parser import parse_selector
from calico_rkt.compiler.review.matrix import matrix_of
from tests.worlds import conf, world

EVERYTHING = (Rule(Action.ALLOW),)
NAMES = ("a", "b", "c", "d")
SELF = "self"


def own(name, rules):
    """The rules of a network that speaks of itself."""
    here = Side(selector=has(name))
    return tuple(r if r is not SELF else Rule(Action.ALLOW, Match(source=here)) for r in rules)


def four(lists=EVERYTHING, subnets=None, **others):
    """Four networks with one ingress, but for those that are given others."""
    subnets = subnets or {}
    confs = [conf(n, ip_network(subnets.get(n, f"10.{i}.0.0/24"))) for i, n in enumerate(NAMES)]
    return world(confs, {n: (own(n, others.get(n, lists)), EVERYTHING) for n in NAMES})


def key(w, source, destination):
    ends = [next(p for p in w.parties if p.name == n) for n in (source, destination)]
    return w.likeness.key(w.view(*ends))


def alike(w, one, other):
    return key(w, *one).alike == key(w, *other).alike


@pytest.mark.parametrize("lists", [EVERYTHING, (SELF,), (SELF, *EVERYTHING)])
def test_networks_that_no_rule_tells_apart_are_alike(lists):
    w = four(lists)
    assert alike(w, ("a", "b"), ("c", "d"))
    assert alike(w, ("a", "a"), ("d", "d"))
    assert alike(w, ("a", "outside"), ("d", "outside"))
    assert not alike(w, ("a", "b"), ("a", "a"))
    assert not alike(w, ("a", "b"), ("a", "outside"))
    assert not alike(w, ("outside", "a"), ("a", "outside"))


def test_a_network_that_the_other_end_names_is_like_no_other_there():
    w = four((Rule(Action.ALLOW, Match(source=Side(selector=has("a")))),))
    assert not alike(w, ("a", "b"), ("c", "b"))
    assert alike(w, ("a", "b"), ("a", "c"))
    assert alike(w, ("c", "b"), ("d", "b"))


def test_a_network_that_the_sender_names_is_like_no_other_to_it():
    """Also to a sender whose list was first looked at for the pair with that network."""
    confs = [conf(n, ip_network(f"10.{i}.0.0/24")) for i, n in enumerate(NAMES)]
    to_a = (Rule(Action.ALLOW, Match(destination=Side(selector=has("a")))),)
    w = world(confs, {n: (EVERYTHING, to_a if n == "b" else EVERYTHING) for n in NAMES})
    assert not alike(w, ("b", "a"), ("b", "c"))
    assert alike(w, ("b", "c"), ("b", "d"))
    assert alike(w, ("a", "c"), ("c", "d"))
    cells = matrix_of(w).cells
    assert [bool(cells["b", n].flows) for n in NAMES] == [True, False, False, False]


def test_a_net_tells_apart_those_that_it_cuts_and_no_others():
    w = four((Rule(Action.ALLOW, Match(source=Side(nets=(ip_network("10.1.0.0/25"),)))), *EVERYTHING))
    assert not alike(w, ("b", "d"), ("c", "d"))  # cut in two
    assert not alike(w, ("a", "d"), ("c", "d"))  # on the other side of it
    assert alike(w, ("c", "d"), ("d", "c"))
    assert alike(w, ("a", "b"), ("a", "c"))  # it is about sources


def test_rules_of_other_words_tell_apart():
    tcp = (Rule(Action.ALLOW, Match(protocol=6)),)
    w = four(b=tcp, c=tcp)
    assert alike(w, ("a", "b"), ("d", "c"))
    assert not alike(w, ("a", "b"), ("b", "a"))


def test_a_selector_that_speaks_of_itself_in_any_place_is_the_same():
    def rules(name):
        return (Rule(Action.ALLOW, Match(source=Side(selector=parse_selector(f"has({name}) || has(bb) && !has(x)")))),)

    w = four(a=rules("a"), d=rules("d"))
    assert alike(w, ("b", "a"), ("c", "d"))
    assert not alike(w, ("b", "a"), ("b", "c"))


def test_networks_of_another_shape_are_not_alike():
    w = four(subnets={"b": "fd00::/64", "c": "10.2.0.0/25"})
    assert not alike(w, ("a", "d"), ("b", "d"))
    assert alike(w, ("a", "d"), ("c", "d"))  # how large it is says nothing


@pytest.mark.parametrize("wider", [(), ("10.0.0.0/8", "192.0.2.0/24"), ("128.0.0.0/1", "192.0.2.8/29", "fd00::/8")])
@pytest.mark.parametrize("alone", ["192.0.2.7/32", "2001:db8::7/128"])
def test_where_one_address_may_be_at_both_ends_only_equal_addresses_are_alike(alone, wider):
    confs = [conf(n) for n in NAMES] + [conf("e", ip_network("10.5.0.0/24"))]
    one = Side(nets=tuple(map(ip_network, (*wider, alone))))
    both = tuple((Rule(Action.DENY, m), *EVERYTHING) for m in (Match(source=one), Match(destination=one)))
    w = world(confs, {c.name: both for c in confs})
    one, other = key(w, "a", "b"), key(w, "c", "d")
    assert one.alike == one.equal == other.alike == other.equal
    assert key(w, "a", "e").alike != key(w, "a", "b").alike


def test_an_answer_that_says_addresses_is_for_its_own_pair():
    only = (Rule(Action.ALLOW, Match(source=Side(not_nets=(ip_network("10.0.0.7/32"), ip_network("10.1.0.7/32"))))),)
    cells = matrix_of(four(only)).cells
    assert str(cells["a", "c"].flows[0]) == "everything from anywhere outside 10.0.0.7/32"
    assert str(cells["b", "c"].flows[0]) == "everything from anywhere outside 10.1.0.7/32"
    assert cells["d", "c"].everything
    assert cells["a", "c"].rules[0][0].words == "egress of a"
    assert cells["b", "d"].rules[1][0].words == "ingress of d"
