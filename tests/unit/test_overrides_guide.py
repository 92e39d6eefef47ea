"""The user's guide and the list of codes say what the compiler does."""

import re
import textwrap
from pathlib import Path

import pytest

from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.compiler.pipeline import compile_for_host

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "overrides.md").read_text(encoding="utf-8")
BLOCKS = [textwrap.dedent(b) for b in re.findall(r"(?:^    .*\n|^\n(?=    ))+", GUIDE, re.MULTILINE)]
FILES = [
    b.strip("\n") + "\n" for b in BLOCKS if re.match(r"\s*(network|apiVersion|definitions|settings|guardrails):", b)
]
OURS = ("text/fields", "text/values", "pipeline", "cli/compile")
PACKAGES = ("grammar/*.py", "passes/*.py", *(f"workspace/{n}.py" for n in ("files", "policy", "unread", "host")))
NAMES = b"definitions:\n  nets: {office: [192.0.2.0/24]}\n  ports: {web: [80]}\n"


@pytest.mark.parametrize("text", FILES)
def test_every_example_of_the_guide_compiles_without_a_word(text):
    found = re.search(r"(?:network|name): (\w+)", text)
    name = found[1] if found and not text.startswith(("definitions", "settings", "guardrails")) else "web"
    files = {f"{name}.yaml": text.encode()}
    if not text.startswith("definitions"):
        files["names.yaml"] = NAMES
    assert compile_for_host(NetConf(name, "calico", "1.0.0", Ipam("host-local")), files).diagnostics == ()


def test_the_guide_has_examples():
    assert len(FILES) > 8


def codes_in_use():
    sources = [ROOT / "compiler" / f"{n}.py" for n in OURS] + [p for g in PACKAGES for p in (ROOT / "compiler").glob(g)]
    found = set().union(*(re.findall(r'"(CR\d{3})"', p.read_text(encoding="utf-8")) for p in sources))
    return found - {"CR724"}  # of a host's folders, not of what stands in a file: docs/codes/workspace.md


def test_each_code_has_its_line_in_the_docs_and_each_line_its_code():
    text = (ROOT / "docs" / "codes" / "middle.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (CR\d{3}) \|", text, re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == codes_in_use()


def test_each_error_of_a_file_has_a_golden_case():
    shown = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests" / "golden").rglob("diagnostics.txt"))
    # What is wrong with a call, a folder or the compiler itself has unit tests.
    assert codes_in_use() - {"CR601", "CR701", "CR708", "CR709", "CR742"} <= set(re.findall(r"CR\d{3}", shown))
