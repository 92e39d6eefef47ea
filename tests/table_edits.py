"""A table as it should be, and edits of it as values; what the comparison of all packets says of one."""

from dataclasses import replace

from calico_rkt.plugin.attest.decide import decide
from calico_rkt.plugin.attest.guards import SETS
from calico_rkt.plugin.attest.oracle import right
from calico_rkt.plugin.attest.reviewed import reviewed_table, statements
from calico_rkt.plugin.attest.ruleset import OURS, KernelRule, Set, Table
from calico_rkt.plugin.attest.walk import End, fates
from calico_rkt.plugin.link.groups import group_of

ODD = ("crkodd", "veth9")
"""Interfaces of nobody's that somebody put into the group of a network."""


def whole(wanted):
    """The table as it should be."""
    own = {e.ifname: group_of(e.network_id) for e in wanted.endpoints}
    groups = {"up0": 0, "lo": 0, "eth7": 0, **own, **dict.fromkeys(ODD, group_of("web"))}
    sets = {name: Set(name, kinds, {}) for name, kinds in SETS.items()}
    return reviewed_table(Table(OURS, {}, sets, groups=groups), wanted)


def edited(table, chain, change):
    rules = change(list(table.chains[chain].rules))
    rules = tuple(replace(rule, number=n) for n, rule in enumerate(rules, 1))
    return replace(table, chains={**table.chains, chain: replace(table.chains[chain], rules=rules)})


def inserted(chain, at, words):
    rule = KernelRule(OURS, chain, 0, tuple(statements(words.split())))
    return chain, lambda table: edited(table, chain, lambda rules: [*rules[: at - 1], rule, *rules[at - 1 :]])


def deleted(chain, at):
    return chain, lambda table: edited(table, chain, lambda rules: [*rules[: at - 1], *rules[at:]])


def moved(chain, at, to):
    def change(rules):
        rules.insert(to - 1, rules.pop(at - 1))
        return rules

    return chain, lambda table: edited(table, chain, change)


def replaced(chain, at, words):
    """A rule in the place of another."""
    rule = KernelRule(OURS, chain, 0, tuple(statements(words.split())))
    return chain, lambda table: edited(table, chain, lambda rules: [*rules[: at - 1], rule, *rules[at:]])


def policy(chain):
    return chain, lambda t: replace(t, chains={**t.chains, chain: replace(t.chains[chain], policy="drop")})


def element(name, key, to=None):
    def change(table):
        found = {k: v for k, v in table.sets[name].elements.items() if k != key}
        more = {} if to is None else {key: to}
        return replace(table, sets={**table.sets, name: replace(table.sets[name], elements={**found, **more})})

    return name, change


def decided(wanted, edit):
    about, change = edit
    chains = [f"{kind}-{i}" for i in wanted.networks for kind in ("out", "in")]
    table = change(whole(wanted))
    return decide(table, wanted, [c for c in chains if c != about], {about}), table


def check_shown(found, table, wanted, kind, passes):
    """That what an edit changes is shown by a packet that fares differently; kind, passes: None where any will do."""
    assert found.packet is not None, found.open
    assert kind in (None, found.packet.kind)
    assert passes in (None, found.kernel is not End.DROP)
    assert [f.end for f in fates(table, found.packet)] == [found.kernel]
    should = right(wanted, found.packet)
    assert should is not None
    assert should.end is not found.kernel
