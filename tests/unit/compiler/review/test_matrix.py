"""The matrix: work that grows with the rules, and cells that a quick look finds."""

from ipaddress import ip_network

from calico_rkt.compiler.cli.processes import shared
from calico_rkt.compiler.ir.model import Action, Rule, ToHost
from calico_rkt.compiler.packets import budget
from calico_rkt.compiler.review.matrix import given_up, matrix_of
from calico_rkt.compiler.review.pair import HOST_DECIDES
from tests.bench.workloads import hierarchical, rules
from tests.growth import steps
from tests.worlds import conf, world


def test_deciding_and_wording_grow_with_the_rules():
    web = conf("web", ip_network("10.99.0.0/16"))

    def matrix(count):
        assert not given_up(matrix_of(world([web], {"web": (rules(hierarchical(count)), ())})))

    needed = [steps(matrix, count) for count in (200, 800)]
    assert needed[1] < 10 * needed[0], needed


def test_a_pair_that_no_rule_can_open_needs_no_analysis(monkeypatch):
    monkeypatch.setattr("calico_rkt.compiler.review.matrix.Scene", None)
    confs = [conf(name, ip_network(f"10.{n}.0.0/16")) for n, name in enumerate(("web", "db"))]
    found = matrix_of(world(confs, {"web": ((), ()), "db": ((), ())}))
    assert not any(cell.flows for (source, _), cell in found.cells.items() if source != "host")
    assert not given_up(found)


def test_with_any_budget_several_processes_find_what_one_finds(monkeypatch):
    monkeypatch.setattr("calico_rkt.compiler.review.matrix._MANY_RULES", 0)
    confs = [conf(name, ip_network(f"172.16.{n}.0/24")) for n, name in enumerate("abc")]
    lists = {name: (rules(hierarchical(40, seed)), ()) for seed, name in enumerate("abc")}
    there = world(confs, lists)
    seen = set()
    steps = 10
    while steps < 100_000:
        monkeypatch.setattr(budget, "STEPS", steps)
        one = matrix_of(there)
        assert matrix_of(there, share=shared) == one
        seen.add((given_up(one), any(cell.flows for cell in one.cells.values())))
        steps = steps * 3 // 2
    assert {known for known, _ in seen} == {True, False}


def test_the_host_s_own_word_is_known_again_where_another_process_found_it(monkeypatch):
    monkeypatch.setattr("calico_rkt.compiler.review.matrix._MANY_RULES", 0)
    everything = (Rule(Action.ALLOW),)
    there = world(
        [conf(name, ip_network(f"172.16.{n}.0/24")) for n, name in enumerate("abcdefgh")],
        dict.fromkeys("abcdefgh", (everything, everything, ToHost.RETURN)),
    )
    found = matrix_of(there, share=shared)
    assert found == matrix_of(there)
    for name in "abcdefgh":
        cell = found.cells[name, "host"]
        assert cell.left
        assert any(rule is HOST_DECIDES for _, rule in cell.rules)
