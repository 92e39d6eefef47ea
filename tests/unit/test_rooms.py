"""Each room says in its first lines what comes in, what goes out, and which module is its door."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = sorted(p.parent for top in ("compiler", "plugin") for p in (ROOT / top).rglob("__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_says_what_it_does_and_where_its_door_is(room):
    first, _, rest = (ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or "").partition("\n\n")
    assert room.parent == ROOT or re.search(r"\bin\b.*\bout\b", first), first
    assert re.search(r"\bdoors?\b", rest), rest
    named = re.findall(r"\b\w+\.(?:py|c)\b|\b\w+/", rest)
    assert named or re.search(r"\bhere\b", rest), rest
    assert [name for name in named if not (room / name).exists()] == []
