"""What each format prints of a small world, read back: the flows in it are those of the answer, word by word."""

import csv
import html
import io
import json
import re

from hypothesis import given, settings

from calico_rkt.compiler.cli.explain import _text
from calico_rkt.compiler.cli.formats.diff_markdown import markdown
from calico_rkt.compiler.cli.formats.findings import render_as
from calico_rkt.compiler.cli.formats.matrix import render_matrix
from calico_rkt.compiler.grammar.expectations import Expectation, ExpectedEnd
from calico_rkt.compiler.ir.model import Action
from calico_rkt.compiler.review.diff import diff_worlds
from calico_rkt.compiler.review.diff_text import problems_of_diff, text_of_diff, values_of_diff
from calico_rkt.compiler.review.explain import cases
from calico_rkt.compiler.review.html_report import Review, page
from calico_rkt.compiler.review.matrix import matrix_of
from tests.flow_words import CutError, read_flow
from tests.properties.smallworld import BEFORE_AND_AFTER, SmallWorld, packets

ALL = Expectation("all", ExpectedEnd(word="any"), ExpectedEnd(word="any"), Action.ALLOW)
LEFT = " (left to the host)"


def plain(markdown_text):
    """Markdown's escapes undone, as who renders it would."""
    return html.unescape(re.sub(r"\\(.)", r"\1", markdown_text))


def cell_flows(words):
    if words.startswith(("nothing", "no such pair")):
        return []
    return [w.removesuffix(LEFT) for w in words.split("; ")]


def said(flows):
    return sorted(map(str, flows))


@given(BEFORE_AND_AFTER)
@settings(max_examples=25, deadline=None)
def test_the_flows_of_every_format_are_those_of_the_answer(drawn):
    old, new = map(SmallWorld, drawn)
    table = matrix_of(new.world)
    wanted = {
        ends: ["everything"] if cell.everything and len(cell.left) in (0, len(cell.flows)) else said(cell.flows)
        for ends, cell in table.cells.items()
    }
    assert all(len(cell.decided) == len(cell.flows) for cell in table.cells.values())
    for row in csv.DictReader(io.StringIO(render_matrix("csv", table, colour=False))):
        assert sorted(cell_flows(row["packets"])) == wanted[row["from"], row["to"]]
    rows = [r.strip("| ").split(" | ") for r in render_matrix("markdown", table, colour=False).splitlines()[2:]]
    for row in rows:
        for column, words in zip(table.columns, row[1:], strict=False):
            if (plain(row[0]), column) in table.cells:
                assert sorted(cell_flows(plain(words))) == wanted[plain(row[0]), column]
    listed = dict(re.findall(r"^(.+? -> .+?): (.*)$", render_matrix("text", table, colour=False), re.MULTILINE))
    assert {k: sorted(cell_flows(v)) for k, v in listed.items()} == {
        f"{a} -> {b}": flows for (a, b), flows in wanted.items() if flows or table.cells[a, b].nobody
    }
    for case in cases(new.world, ALL):
        lines = _text(case).split("  such as ")[0].splitlines()[1:]
        assert [line.strip() for line in lines] == list(map(str, case.flows))
    found = diff_worlds(old.world, new.world)
    headings = [f"{' or '.join(c.sources)} -> {' or '.join(c.destinations)}: {c.flow}" for c in found.changes]
    assert re.findall(r"^  (\S.* -> .*)$", text_of_diff(found), re.MULTILINE) == headings
    assert [c["words"] for c in values_of_diff(found)["changes"]] == headings
    cells = [r.split(" | ") for r in markdown(found).splitlines() if r.startswith("| ") and " -> " in r]
    assert [f"{plain(c[0][2:])} -> {plain(c[1])}: {plain(c[2])}" for c in cells] == headings
    github = render_as("github", problems_of_diff(found), colour=False)
    told = [m.replace("%25", "%") for m in re.findall(r"newly (?:allowed|denied): (.*?)%0A", github)]
    assert sorted(told) == sorted(headings)
    results = json.loads(render_as("sarif", problems_of_diff(found), colour=False))["runs"][0]["results"]
    messages = [r["message"]["text"].replace("{{", "{").replace("}}", "}").splitlines()[0] for r in results]
    assert sorted(m.split(": ", 1)[1] for m in messages if m.startswith("newly")) == sorted(headings)
    report = page(Review("here", table, (), (), found))
    articles = re.findall(r'<ul class="flows">(.*?)</ul>', report)
    flows = [sorted(html.unescape(f) for f in re.findall(r"<li>(.*?)</li>", a)) for a in articles]
    assert [[f.removesuffix(LEFT) for f in one] for one in flows if not one[0].startswith("no such")] == [
        w for w in wanted.values() if w
    ]


@given(BEFORE_AND_AFTER)
@settings(max_examples=25, deadline=None)
def test_the_words_of_a_case_hold_the_packets_that_its_values_hold(drawn):
    from tests.worlds import within

    w = SmallWorld(drawn[1])
    for case in cases(w.world, ALL):
        for f in case.flows:
            try:
                read = read_flow(str(f))
            except CutError:
                continue
            for packet in packets(case.source, case.destination):
                assert read.holds(packet) is within(f, packet), (str(f), packet)
