"""Every diagnostic code has a line in the documents, and every line a code."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_each_code_is_documented_and_nothing_else_is():
    sources = (p for top in ("compiler", "plugin") for p in (ROOT / top).rglob("*.py"))
    used = {code for p in sources for code in re.findall(r'"(CR\d{3})"', p.read_text())}
    pages = "".join(p.read_text() for p in sorted((ROOT / "docs" / "codes").glob("*.md")))
    documented = re.findall(r"^\| (CR\d{3}) ", pages, re.MULTILINE)
    assert used == set(documented)
    assert len(documented) == len(set(documented))
