"""calico-rkt rule: every code that the compiler or doctor says can be asked for."""

import json
import re
from pathlib import Path

import pytest

from calico_rkt.plugin.commands.tree import main

ROOT = Path(__file__).parents[4]


def test_each_code_has_its_page(capsys):
    sources = (p for top in ("compiler", "plugin") for p in (ROOT / top).rglob("*.py"))
    used = {code for p in sources for code in re.findall(r'"(CR\d{3})"', p.read_text())}
    assert main(["rule", "--format", "json"]) == 0
    rules = json.loads(capsys.readouterr().out)["rules"]
    assert [r["code"] for r in rules] == sorted(used)
    assert all(r["text"] and r["severity"] for r in rules)
    assert main(["rule"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:5] for line in lines] == sorted(used)
    assert max(map(len, lines)) <= 100


def test_a_code_is_known_in_any_case_and_said_once(capsys):
    assert main(["rule", "cr712", "CR712"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("CR712, warning\n\n  The subnets of two networks overlap.")
    assert out.count("CR712") == 1


@pytest.mark.parametrize("code", ["CR999", "CR3", "", "712", "web", "CR712;", "../review"])
def test_what_is_no_code_is_said_and_nothing_is_printed(code, capsys):
    assert main(["rule", "CR712", code]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"there is no code {code.upper()!r}" in said.err
