"""Each room says what comes in, what goes out, and which module is its door; tests stand where rooms are."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
UNIT = sorted(p.relative_to(TESTS / "unit") for p in (TESTS / "unit").glob("*/**/*.py"))
HELPERS = sorted(p for p in TESTS.rglob("*.py") if not p.name.startswith("test_") and p.read_text().strip())
ROOMS = sorted(p.parent for top in ("compiler", "plugin") for p in (ROOT / top).rglob("__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_says_what_it_does_and_where_its_door_is(room):
    first, _, rest = (ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or "").partition("\n\n")
    assert room.parent == ROOT or re.search(r"\bin\b.*\bout\b", first), first
    assert re.search(r"\bdoors?\b", rest), rest
    named = re.findall(r"\b\w+\.(?:py|c)\b|\b\w+/", rest)
    assert named or re.search(r"\bhere\b", rest), rest
    assert [name for name in named if not (room / name).exists()] == []


@pytest.mark.parametrize("path", UNIT, ids=str)
def test_a_unit_test_stands_where_its_module_is_and_is_called_after_it(path):
    """After a module of that folder, or the folder itself, with or without more words behind."""
    room = ROOT / path.parent
    assert room.is_dir(), f"there is no {path.parent}/ to test"
    names = {room.name, *(p.stem for p in room.iterdir() if p.suffix == ".py" or p.is_dir())}
    called = path.stem.removeprefix("test_")
    assert any(called == name or called.startswith(f"{name}_") for name in names), f"no module of {path.parent}/"


@pytest.mark.parametrize("path", HELPERS, ids=lambda p: str(p.relative_to(TESTS)))
def test_what_tests_share_says_what_it_is(path):
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    assert first.endswith((".", ":")), f"no first line says what goes in and what comes out: {first!r}"


@pytest.mark.parametrize("folder", ["clients", "kernel"])
def test_a_folder_of_tests_has_its_helpers_in_support(folder):
    loose = {p.name for p in (TESTS / folder).glob("*.py") if not p.name.startswith("test_")}
    assert loose <= {"conftest.py"}
