"""The schema takes what the compiler takes, and refuses what is wrong in shape."""

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from calico_rkt.compiler.grammar.overrides import parse_file
from calico_rkt.compiler.grammar.schema import schema

ROOT = Path(__file__).parents[4]
VALIDATOR = Draft202012Validator(schema())
BLOCKS = [
    textwrap.dedent(block).strip("\n") + "\n"
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", page.read_text(encoding="utf-8"), re.MULTILINE)
]
DOCUMENTED = [b for b in BLOCKS if re.match(r"(network|apiVersion|definitions|settings|guardrails):", b)]
GOOD = [
    p for d in ("docs/examples", "tests/golden") for p in (ROOT / d).rglob("profiles/*.yaml") if "bad" not in p.parts
]
GOOD = [p for p in GOOD if not any(d.is_error for d in parse_file(p.name, p.read_bytes()).diagnostics)]
BAD_SHAPE = {"CR301", "CR304", "CR305", "CR306", "CR324"}


def refused(text):
    return [e.message for e in VALIDATOR.iter_errors(yaml.safe_load(text))]


def test_the_schema_is_one():
    Draft202012Validator.check_schema(schema())
    assert len(DOCUMENTED) > 8
    assert len(GOOD) > 8


@pytest.mark.parametrize("text", DOCUMENTED)
def test_every_example_of_the_docs_is_valid(text):
    assert refused(text) == []


@pytest.mark.parametrize("path", GOOD, ids=lambda p: str(p.relative_to(ROOT)))
def test_whatever_compiles_is_valid(path):
    assert refused(path.read_text(encoding="utf-8")) == []


def bad():
    for path in sorted((ROOT / "tests" / "golden" / "bad").glob("*/profiles/*.yaml")):
        codes = {d.code for d in parse_file(path.name, path.read_bytes()).diagnostics}
        if codes & BAD_SHAPE and codes <= BAD_SHAPE and b"apiVersion" not in path.read_bytes():
            yield path


@pytest.mark.parametrize("path", list(bad()), ids=lambda p: p.parts[-3])
def test_what_is_wrong_in_shape_is_refused(path):
    assert refused(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "ingress: []",
        "network: web\nform: x",
        "network: web\ningress: [{action: Pass}]",
        "network: web\ningress: [{source: {network: a}}]",
        "network: web\ningress: [{action: Allow, source: {form: a}}]",
        "network: web\nendpoint_to_host: reject",
        "network: web\ntests: [{name: a, from: {network: b, host: true}, to: {network: c}, verdict: Deny}]",
        "guardrails: {nevr: []}",
        "{}",
        "[]",
    ],
)
def test_slips_of_the_hand_are_refused(text):
    assert refused(text)
    assert parse_file("x.yaml", text.encode()).diagnostics


def test_the_command_prints_it():
    done = subprocess.run([sys.executable, "-m", "calico_rkt", "schema"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == schema()


def test_a_definition_may_be_called_as_a_truth_is():
    text = (
        "network: web\ningress:\n  - {action: Allow, protocol: TCP, destination: {ports: [true, 80], nets: [true]}}\n"
    )
    shared = "definitions: {ports: {true: [443]}, nets: {true: [10.0.0.0/8]}}\n"
    assert not parse_file("web.yaml", text.encode()).diagnostics
    assert not parse_file("shared.yaml", shared.encode()).diagnostics
    assert not refused(text)


def test_an_address_that_yaml_takes_for_a_number_of_base_60_is_one():
    end = "  - {name: t, from: {ip: 1:2:3:4:5:6:7:8}, to: {network: web}, verdict: Deny}\n"
    text = "network: web\ntests:\n" + end
    assert not parse_file("web.yaml", text.encode()).diagnostics
    assert not refused(text)
