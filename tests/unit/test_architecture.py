"""ARCHITECTURE.md speaks of files and functions that are there, and of every room."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
HOPS = re.findall(r"`([a-z_0-9/]+\.(?:py|c))`: `(\w+)`", PAGE)


def test_the_page_has_both_ways():
    assert len(HOPS) > 20


@pytest.mark.parametrize(("path", "name"), HOPS)
def test_each_hop_is_a_function_or_class_of_its_file(path, name):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(rf"^(?: {{4}})?(?:def|class|int|static int) {name}\b", text, re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_each_path_is_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    paths = set(re.findall(r"`((?:compiler|plugin|templates|tests|docs|packaging)/[\w./-]*)`", text))
    named = {p for p in paths if "NAME" not in p and "CRnnn" not in p}  # those are for the reader to choose
    assert named
    assert [p for p in sorted(named) if not (ROOT / p).exists()] == []


def test_each_path_of_the_tests_page_is_there():
    text = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    paths = set(re.findall(r"tests/[\w./-]*\w", text))
    assert [p for p in sorted(paths) if not (ROOT / p).exists()] == []


@pytest.mark.parametrize("top", ["compiler", "plugin"])
def test_each_room_is_on_the_page(top):
    table = PAGE.partition(f"| {top}/ |")[2].partition("\n\n")[0]
    rooms = {p.name + "/" for p in (ROOT / top).iterdir() if (p / "__init__.py").exists()}
    assert rooms <= set(re.findall(r"`([a-z_]+/)`", table))


def test_each_decision_is_in_the_table_and_each_line_has_a_page():
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"^\| \[\d+\]\((\S+)\)", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == sorted(p.name for p in folder.glob("[0-9]*.md"))


def test_each_document_is_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    documents = [f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")]
    assert [d for d in (*documents, "ARCHITECTURE.md", "CONTRIBUTING.md", "tests/README.md") if d not in text] == []
