"""The picture of a matrix says what its answer says; the one in README.md is of today."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from calico_rkt.compiler.cli.formats.matrix import MARKS, render_matrix
from calico_rkt.compiler.review.build import build_world
from calico_rkt.compiler.review.flows import Flow
from calico_rkt.compiler.review.matrix import Cell, Matrix, cell_kind, cell_words, matrix_of
from calico_rkt.compiler.workspace.folder import open_folder

ROOT = Path(__file__).parents[5]
DEMO = ROOT / "docs" / "examples" / "two-networks"
SVG = "{http://www.w3.org/2000/svg}"
LONG = "a-name-that-is-much-longer-than-what-a-picture-has-room-for"
HOSTILE = 'web"><script>&amp;\x1b[31m\n'


@pytest.fixture(scope="module")
def demo():
    return matrix_of(build_world(open_folder(DEMO, {})))


def drawn(m):
    return ET.fromstring(render_matrix("svg", m, colour=False))


def titles(root):
    """Each cell's words for who points at it, with its kind and the texts in it."""
    return {
        g.find(f"{SVG}title").text: (g.find(f"{SVG}rect").get("class"), [t.text for t in g.iter(f"{SVG}text")])
        for g in root.iter(f"{SVG}g")
    }


def square(n, cell=None):
    names = tuple(f"n{i}" for i in range(n))
    return Matrix(names, names, {(a, b): cell or Cell((Flow(),), everything=True) for a in names for b in names})


def test_the_picture_of_the_demo_is_what_the_demo_s_matrix_says_today(demo):
    kept = (ROOT / "docs" / "demo-matrix.svg").read_text(encoding="utf-8")
    assert kept == render_matrix("svg", demo, colour=False), (
        "write it anew: calico-rkt matrix -C docs/examples/two-networks --format svg -o docs/demo-matrix.svg"
    )


def test_each_cell_has_its_kind_and_all_its_words(demo):
    found = titles(drawn(demo))
    assert len(found) == len(demo.cells)
    for (row, column), cell in demo.cells.items():
        of, lines = found[f"{row} -> {column}: {cell_words(cell)}"]
        assert of == cell_kind(cell)
        shown = " ".join(lines)
        assert shown == cell_words(cell) or (shown.endswith(" …") and cell_words(cell).startswith(shown[:-2]))


def test_a_cell_without_room_for_words_shows_the_table_s_mark():
    found = titles(drawn(square(9)))
    assert {(of, *lines) for of, lines in found.values()} == {("all", MARKS["all"])}
    assert {(of, *lines) for of, lines in titles(drawn(square(8))).values()} == {("all", "everything")}


@pytest.mark.parametrize("count", [8, 9])
@pytest.mark.parametrize("cell", [Cell(), Cell(undecided=HOSTILE), Cell(nobody=HOSTILE)], ids=cell_kind)
def test_no_name_and_no_reason_breaks_the_picture(count, cell):
    names = (HOSTILE, LONG, *(f"n{i}" for i in range(count - 2)))
    root = drawn(Matrix(names, names, {(a, b): cell for a in names for b in names}))
    assert len(titles(root)) == count * count
    width, height = float(root.get("width")), float(root.get("height"))
    for box in root.iter(f"{SVG}rect"):
        assert float(box.get("x")) + float(box.get("width")) <= width
        assert float(box.get("y")) + float(box.get("height")) <= height
    assert not list(root.iter(f"{SVG}script"))


def test_the_legend_names_the_kinds_that_are_there():
    words = [t.text for t in drawn(square(3)).iter(f"{SVG}text")]
    assert "everything" in words
    assert "undecided" not in words
    assert "undecided" in [t.text for t in drawn(square(3, Cell(undecided="why"))).iter(f"{SVG}text")]
