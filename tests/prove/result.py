"""A harness's figures in; kept beside it, and all of them as the page docs/proof.md, out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

KEPT = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[2] / "docs" / "proof.md"
_HEAD = """\
# What was tried, how often, and what was found

Made by `make prove` from the figures of its last runs; a small part of each harness runs in every `make test`. One
harness again, with another seed: `make prove HARNESS=attest SEED=7`, and `SECONDS=60` for a short one. What is found is
mended, and its smallest case becomes a test.
"""


@dataclass(frozen=True)
class Result:
    """claim: what holds where nothing is wrong; figures: what was tried, in words, and how often.

    test: its short form, which every run of the tests has.
    """

    name: str
    claim: str
    test: str
    seed: int
    seconds: int
    figures: Mapping[str, int]
    wrong: list[str] = field(default_factory=list)


def keep(result: Result) -> None:
    """Beside the harness, and on the page."""
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{result.name}.json").write_text(json.dumps(asdict(result), indent=2) + "\n", encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The page of all that is kept."""
    found = [Result(**json.loads(path.read_text(encoding="utf-8"))) for path in sorted(KEPT.glob("*.json"))]
    return _HEAD + "".join(map(_section, found))


def _section(one: Result) -> str:
    rows = "".join(f"| {words} | {count:,} |\n" for words, count in one.figures.items())
    wrong = "".join(f"\n- {' '.join(words.split())}" for words in one.wrong[:20])
    said = f"Found in this run, {len(one.wrong)}:\n{wrong}\n\n" if one.wrong else "Found in this run: nothing. "
    return (
        f"\n## {one.name}\n\n{one.claim}\n\n| tried | times |\n| --- | ---: |\n{rows}\n"
        f"{said}Seed {one.seed}, {one.seconds} s; in every `make test`: `{one.test}`.\n"
    )
