"""Each claim of docs/security.md names the test that tries it: the file is there, and the test is in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
MODEL = PAGE.partition("## Threat model")[2].partition("\n## ")[0]


@pytest.mark.parametrize(("file", "test"), sorted(set(NAMED)))
def test_a_test_that_tries_a_claim_is_there(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_each_claim_of_the_threat_model_has_a_test() -> None:
    rows = [line for line in MODEL.splitlines() if line.startswith("| ") and not line.startswith(("| holds", "| ---"))]
    assert len(rows) > 30
    assert [row for row in rows if "::test_" not in row] == []
