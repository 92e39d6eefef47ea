"""What docs/commands.md and the example of a review show is what the commands say of such files."""

import re
import shutil
from pathlib import Path

import pytest

from calico_rkt.plugin.commands.tree import main

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "commands.md").read_text(encoding="utf-8")
EXAMPLE = DOCS / "examples" / "review"
CONF = (
    '{"cniVersion": "1.0.0", "name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.92.0.0/24"}}'
)
SSH = "  - {action: Allow, protocol: TCP, source: {nets: [198.51.0.0/16]}, destination: {ports: [22]}}\n"
OVERRIDE = f"""network: web
ingress:
  - {{action: Allow, protocol: TCP, destination: {{ports: [443]}}}}
{SSH}  - default
tests:
  - name: the outside reaches us over https only
    from: {{outside: true}}
    to: {{network: web}}
    except: [{{protocol: TCP, port: 443}}]
    verdict: Deny
"""
SAID_OF_THE_EXAMPLE = {
    "check -C before": (0, "nothing to say"),
    "check -C after": (1, "is allowed, and should be denied"),
    "diff before after": (1, "newly allowed:"),
    "diff before after --within-guardrails": (1, "newly allowed outside the guardrails:\n  outside -> ledger"),
    "matrix -C before": (0, "metrics -> ledger: TCP port 9100"),
}


def words(text):
    return " ".join(text.split())


def block(section, begin):
    """The indented lines of a section of the page that begin with this one, as words."""
    lines = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0].partition(f"    {begin}")
    assert lines[1], begin
    return words(re.split(r"\n(?! {4})", lines[1] + lines[2])[0])


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder `before` without the rule that somebody adds, and one with it, where we are."""
    for folder, text in ((tmp_path / "before", OVERRIDE.replace(SSH, "")), (tmp_path, OVERRIDE)):
        (folder / "profiles").mkdir(parents=True)
        (folder / "web.conf").write_text(CONF)
        (folder / "profiles" / "web.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("command", "section", "begin"),
    [("test", "test", "profiles/web.yaml:7"), ("diff before .", "diff", "newly allowed:")],
    ids=["test", "diff"],
)
def test_the_page_shows_what_is_said(capsys, command, section, begin):
    assert main(command.split()) == 1
    said = re.sub(r"\n +[0-9]+ \|.*\n +\| +\^+", "", capsys.readouterr().out)  # the page leaves the quoted line out
    assert block(section, begin) in words(said)


def test_the_example_of_a_review_says_what_its_page_says(tmp_path, monkeypatch, capsys):
    shutil.copytree(EXAMPLE, tmp_path / "review")
    monkeypatch.chdir(tmp_path / "review")
    shown = re.findall(r"^    calico-rkt (.*?)(?:  +#.*)?$", (EXAMPLE / "README.md").read_text(), re.MULTILINE)
    assert shown == list(SAID_OF_THE_EXAMPLE)
    for command, (status, begin) in SAID_OF_THE_EXAMPLE.items():
        assert (main(command.split()), begin in capsys.readouterr().out) == (status, True), command
