"""docs/proof.md is what the figures of the last runs make, and says where each is tried all the time."""

from pathlib import Path

from tests.prove.__main__ import HARNESSES
from tests.prove.result import KEPT, PAGE, page

ROOT = Path(__file__).parents[2]


def test_the_page_is_made_of_the_figures_that_are_kept():
    assert PAGE.read_text(encoding="utf-8") == page()


def test_each_harness_has_figures_and_each_figure_a_harness():
    assert {path.stem for path in KEPT.glob("*.json")} == set(HARNESSES)
    for name in HARNESSES:
        assert (ROOT / "tests" / "prove" / f"{name}.py").exists()
