"""The report's page in a real Chromium: it loads nothing else, and answers to the mouse, the keyboard and paper."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.support.chromium import Chromium

pytestmark = pytest.mark.clients

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "review"
HOSTILE = "</script><img src=x onerror=alert(1)><b>"
OVERRIDE = f"""network: web
ingress:
  - {{action: Allow, protocol: TCP, destination: {{ports: [80]}}}}  # {HOSTILE}
tests:
  - {{name: "{HOSTILE}", from: {{outside: true}}, to: {{network: web}}, verdict: Deny}}
"""
CONF = '{"name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}'


def report(folder: Path, out: Path, *args: str) -> str:
    command = [sys.executable, "-m", "calico_rkt", "report", "-C", str(folder), "-o", str(out), *args]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return out.read_text(encoding="utf-8")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    found = Chromium(tmp_path / "chromium")
    yield found
    found.close()


def loaded(browser: Chromium, path: Path) -> None:
    """Open the page; it has no errors, and nothing but itself was asked for."""
    browser.events.clear()
    browser.open(path.as_uri())
    browser.value("1")
    bad = [
        e
        for e in browser.events
        if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
    ]
    assert bad == []
    asked = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
    assert asked == [path.as_uri()]


def test_cells_answer_to_a_click_and_to_the_keyboard(browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    report(EXAMPLE / "after", page, "--since", str(EXAMPLE / "before"))
    loaded(browser, page)
    label = "document.activeElement.getAttribute('aria-label')"
    details = "document.getElementById('details')"
    browser.click("button[aria-label^='outside to ledger']")
    text = browser.value(f"{details}.innerText")
    assert "TCP port 5432 from 192.0.2.0/24" in text
    assert "profiles/ledger.yaml:4" in text
    assert "source: {nets: [office]}" in text
    browser.press("Escape")
    assert browser.value(f"{details}.hidden") is True
    assert browser.value(label).startswith("outside to ledger")
    browser.press("ArrowRight")
    browser.press("ArrowUp")
    assert browser.value(label).startswith("shop to metrics: nothing")
    browser.press("Enter")
    assert browser.value(f"{details}.innerText") == "shop to metrics: nothing"
    assert browser.value("document.activeElement.getAttribute('aria-expanded')") == "true"
    for _ in range(9):
        browser.press("ArrowLeft")
    assert browser.value(label).startswith("shop to ledger")
    assert browser.value("document.querySelectorAll('#grid button[tabindex=\"0\"]').length") == 1
    assert "CR811" in browser.value("document.getElementById('findings').innerText")
    assert "192.0.2.128/25" in browser.value("document.getElementById('changes').innerText")
    browser.value("document.getElementById('filter').focus()")
    browser.call("Input.insertText", text="metr")
    assert browser.value("document.querySelectorAll('#grid tbody tr:not([hidden])').length") == 1


def test_it_fits_a_phone_and_prints(browser: Chromium, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    report(EXAMPLE / "after", page, "--since", str(EXAMPLE / "before"))
    for pixels in (360, 1280):
        browser.width(pixels)
        loaded(browser, page)
        assert browser.value("document.documentElement.scrollWidth") <= pixels
    pdf = base64.b64decode(browser.call("Page.printToPDF", printBackground=True)["data"])
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 1


def test_what_files_say_stays_text(browser: Chromium, tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "web.conf").write_text(CONF)
    (tmp_path / "profiles" / "web.yaml").write_text(OVERRIDE)
    page = tmp_path / "report.html"
    first = report(tmp_path, page)
    assert report(tmp_path, page) == first
    loaded(browser, page)
    assert HOSTILE in browser.value("document.getElementById('tests').innerText")
    assert HOSTILE in browser.value("document.getElementById('flows').innerText")
    assert browser.value("document.querySelectorAll('img, b').length") == 0


CODE = "2001:db8:aaaa:bbbb:cccc:dddd:1:2"
MANY = 60


def many(folder: Path, count: int) -> Path:
    (folder / "profiles").mkdir(parents=True)
    for i in range(count):
        name = f"team-{i:02d}-web-frontend"
        ranges = f'[{{"subnet": "198.51.{i}.0/24"}}], [{{"subnet": "2001:db8:aaaa:{i:x}::/64"}}]'
        conf = CONF.replace('"web"', f'"{name}"').replace('"subnet": "10.1.0.0/24"', f'"ranges": [{ranges}]')
        (folder / f"{name}.conf").write_text(conf)
        nets = f'[203.0.113.129/32, "{CODE}/128"]'
        rule = f"{{action: Allow, protocol: TCP, source: {{nets: {nets}}}, destination: {{ports: [49152]}}}}"
        (folder / "profiles" / f"{name}.yaml").write_text(f"network: {name}\ningress: [{rule}]\n")
    return folder


LINES = """(selector => [...document.querySelectorAll(selector)].filter(e => e.offsetParent).map(e => {
    const range = document.createRange(); range.selectNodeContents(e);
    return new Set([...range.getClientRects()].map(r => Math.round(getComputedStyle(e).writingMode == 'vertical-rl'
      ? r.left : r.top))).size; }))"""
SPLIT = r"""[...document.querySelectorAll('td, li')].filter(e => e.offsetParent).flatMap(e => {
    const found = [], walk = document.createTreeWalker(e, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) for (const m of walk.currentNode.data.matchAll(/[\[\]0-9a-f.:\/]{9,}/g)) {
      const range = document.createRange();
      range.setStart(walk.currentNode, m.index); range.setEnd(walk.currentNode, m.index + m[0].length);
      if (new Set([...range.getClientRects()].map(r => Math.round(r.top))).size > 1) found.push(m[0]); }
    return found; })"""


@pytest.mark.parametrize("pixels", [390, 1280])
def test_heads_stay_on_a_line_and_addresses_whole_with_sixty_networks(
    browser: Chromium, tmp_path: Path, pixels: int
) -> None:
    new, old = many(tmp_path / "new", MANY), many(tmp_path / "old", MANY)
    for path in (old / "profiles").glob("team-0*.yaml"):
        path.unlink()
    page = tmp_path / "report.html"
    report(new, page, "--since", str(old))
    browser.width(pixels)
    loaded(browser, page)
    assert browser.value("document.documentElement.scrollWidth") <= pixels
    for selector in ("#grid th[scope=row]", "#grid thead th span:not(.from)", "section > .rows thead th"):
        lines = browser.value(f"{LINES}({selector!r})")
        assert set(lines) <= {1}, (selector, lines)
    names = "[...document.querySelectorAll('#grid th[scope=row]')].slice(0, 60)"
    assert browser.value(f"{names}.every(e => e.scrollWidth <= e.clientWidth)")
    assert browser.value("document.getElementById('grid').scrollWidth > document.getElementById('grid').clientWidth")
    assert CODE in browser.value("document.body.textContent")
    assert browser.value(SPLIT) == []
