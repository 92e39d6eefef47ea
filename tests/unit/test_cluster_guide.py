"""Every message that the guide to clusters explains is one that the plugin gives."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "calico-cluster.md").read_text(encoding="utf-8")
SOURCE = "".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "plugin").rglob("*.py")))
ROWS = re.findall(r"^\| (.+?) \| (.+) \| (.+) \|$", GUIDE.partition("## When it doesn't work")[2], re.MULTILINE)[2:]


def quoted(symptom: str) -> list[str]:
    """The parts of the messages in a symptom that are the same each time."""
    parts = (part.strip(" :/") for text in re.findall(r"`([^`]+)`", symptom) for part in text.split("..."))
    return [part for part in parts if len(part) > 3 and not part.startswith("calicoctl")]


@pytest.mark.parametrize("symptom", [row[0] for row in ROWS if quoted(row[0])])
def test_a_symptom_is_quoted_as_the_plugin_says_it(symptom):
    missing = [part for part in quoted(symptom) if part not in SOURCE]
    assert not missing


def test_every_symptom_has_something_to_look_at_and_a_cause():
    assert len(ROWS) > 15
    assert all(cell.strip() for row in ROWS for cell in row)
