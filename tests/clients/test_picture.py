"""README.md's picture in a real Chromium, as a page shows it: to be read in light and in dark, nothing cut off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.support.chromium import Chromium

pytestmark = pytest.mark.clients

PICTURE = Path(__file__).parents[2] / "docs" / "demo-matrix.svg"
# Of each text in a cell: its contrast to the cell (WCAG's ratio), and by how many pixels it stands out of it.
_MEASURE = """(() => {
  const light = c => {
    const [r, g, b] = c.match(/[0-9.]+/g).map(Number).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll('g')].flatMap(cell => {
    const box = cell.querySelector('rect'), here = box.getBoundingClientRect();
    return [...cell.querySelectorAll('text')].map(text => {
      const [a, b] = [text, box].map(e => light(getComputedStyle(e).fill)).sort((x, y) => y - x);
      const t = text.getBoundingClientRect();
      const out = Math.max(here.left - t.left, t.right - here.right, here.top - t.top, t.bottom - here.bottom);
      return [(a + 0.05) / (b + 0.05), out, text.textContent];
    });
  });
})()"""


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chromium]:
    found = Chromium(tmp_path / "chromium")
    yield found
    found.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_picture_can_be_read(browser: Chromium, scheme: str) -> None:
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(PICTURE.as_uri())
    texts = browser.value(_MEASURE)
    assert len(texts) > 20
    assert [t for t in texts if t[0] < 4.5] == [], "too pale to be read"
    assert [t for t in texts if t[1] > 0] == [], "written over the edge of its cell"
    backgrounds = browser.value("getComputedStyle(document.documentElement).backgroundColor")
    assert backgrounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
