"""The matrix: work that grows with the rules, and cells that a quick look finds."""

from ipaddress import ip_network

from calico_rkt.compiler.packets import budget
from calico_rkt.compiler.review.matrix import given_up, matrix_of
from tests.bench.workloads import hierarchical, rules
from tests.worlds import conf, world


def test_deciding_and_wording_grow_with_the_rules(monkeypatch):
    spent = []
    spend = budget.Budget.spend

    def counting(self, steps=1):
        if self.whole is None:
            spent.append(steps)
        spend(self, steps)

    monkeypatch.setattr(budget.Budget, "spend", counting)
    web = conf("web", ip_network("10.99.0.0/16"))
    needed = []
    for count in (200, 800):
        spent.clear()
        assert not given_up(matrix_of(world([web], {"web": (rules(hierarchical(count)), ())})))
        needed.append(sum(spent))
    assert needed[1] < 10 * needed[0], needed


def test_a_pair_that_no_rule_can_open_needs_no_analysis(monkeypatch):
    monkeypatch.setattr("calico_rkt.compiler.review.matrix.Scene", None)
    confs = [conf(name, ip_network(f"10.{n}.0.0/16")) for n, name in enumerate(("web", "db"))]
    found = matrix_of(world(confs, {"web": ((), ()), "db": ((), ())}))
    assert not any(cell.flows for (source, _), cell in found.cells.items() if source != "host")
    assert not given_up(found)
