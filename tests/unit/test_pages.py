"""No link and no path on a page is dead, no page is an orphan, and each thing has one name."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "tests/README.md")]
PAGES = [*TOP, *sorted((ROOT / "docs").rglob("*.md"))]
ROOMS = "compiler|docs|packaging|plugin|profiles|templates|tests"
PATHS = re.compile(rf"(?<![\w./-])(?:{ROOMS})/[\w./-]*")
STAND_INS = ("NAME", "SEED", "nnn")
"""What stands for a name that somebody chooses."""
OF_WORKSPACES = ("profiles/names.yaml",)
HISTORY = ROOT / "docs" / "decisions"
"""Pages about a day: what they name may be gone since."""


def name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)\s]+)\)", text) if not t.startswith(("http://", "https://", "#"))]
    assert [t for t in targets if not (page.parent / t.partition("#")[0]).exists()] == []


@pytest.mark.parametrize("page", [p for p in PAGES if HISTORY not in p.parents], ids=name)
def test_paths_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    named = {path.rstrip("./") for code in re.findall(r"`([^`\n]+)`", text) for path in PATHS.findall(code)}
    named = {p for p in named if not any(word in p for word in STAND_INS) and p not in OF_WORKSPACES}
    assert sorted(p for p in named if not (ROOT / p).exists()) == []


def test_every_page_is_named_on_another():
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    for page in PAGES[1:]:
        here = name(page)
        folder = f"`{page.parent.relative_to(ROOT)}/`"
        assert any(
            here in text or folder in text or f"]({page.name})" in text
            for other, text in texts.items()
            if other != page
        ), f"nobody finds {here}"


@pytest.mark.parametrize("page", [p for p in PAGES if HISTORY not in p.parents], ids=name)
def test_the_command_is_calico_rkt_and_the_plugin_s_file_calico(page):
    text = page.read_text(encoding="utf-8")
    commands = (
        "agent|apply|attach|check|detach|diff|doctor|explain|export|gc|import|matrix|prune|report|restore|schema|status"
    )
    assert re.findall(rf"(?<![\w/-])calico (?:{commands}|install|uninstall|test)\b", text) == []
    assert re.findall(r"\b(?:Calico-[Rr]kt|CalicoRkt|calico rkt|Calico rkt)\b", text) == []
