"""What is said of lines that several networks use, beside the plain evaluator: all of it can be taken out at once."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.evaluate import evaluate
from calico_rkt.compiler.ir.model import Action, Network
from calico_rkt.compiler.review.lint_all import lint_all
from tests.findings import lint
from tests.properties.smallworld import LISTS, NAMES, packets

IDS = frozenset(NAMES)
PACKETS = tuple(p for source in ("outside", "db", "ext") for p in packets(source, "web"))


def numbered(rules, path):
    return tuple(replace(r, span=Span(path, n, 1, 2)) for n, r in enumerate(rules, 1))


@given(LISTS, st.tuples(LISTS, LISTS), st.booleans())
@settings(max_examples=80, deadline=None)
def test_no_network_misses_a_line_that_is_taken_out(default, own, alone):
    default = numbered(default, "default.yaml")
    lists = {name: (*numbered(rules, f"{name}.yaml"), *default) for name, rules in zip(("web", "db"), own, strict=True)}
    files = frozenset({"default.yaml", "web.yaml", "db.yaml"})
    given_ = [(Network(name, name, ingress=rules), IDS) for name, rules in lists.items()][: 1 if alone else 2]
    found = list(lint_all(given_, files))
    gone = {d.span for d in found if d.code in ("CR801", "CR802", "CR803")}
    for network, _ in given_:
        left = tuple(r for r in network.ingress if r.span not in gone)
        for p in PACKETS:
            assert evaluate(left, p).allowed is evaluate(network.ingress, p).allowed
    if alone:
        assert found == list(lint(given_[0][0], IDS, files))
    elif default and all(r.action is not Action.LOG for r in default):
        # What is dead in both is found: nothing is overlooked because it is shared.
        dead = [{d.span for d in lint(n, IDS, files) if d.code == "CR801"} for n, _ in given_]
        assert {s for s in dead[0] & dead[1] if s.path == "default.yaml"} <= gone
