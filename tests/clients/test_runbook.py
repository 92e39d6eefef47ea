"""docs/runbook.md is followed literally: what stands behind a `$` is run, and says what stands under it."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.support.lab import Lab, environment
from tests.clients.support.plants import furnish
from tests.clients.support.situations import SITUATIONS
from tests.clients.support.whole_host import make_whole

pytestmark = [pytest.mark.kernel, pytest.mark.clients]
PAGE = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text(encoding="utf-8")
PARTS = {title: body for title, _, body in (part.partition("\n") for part in PAGE.split("\n## ")[1:])}
QUICK = ("Somebody flushed nftables", "A network's pool is full")
_numbers = itertools.count()


def sessions(body: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a situation, with the lines that it says."""
    for block in re.findall(r"```console\n(.*?)```", body, re.DOTALL):
        for session in block.removeprefix("$ ").split("\n$ "):
            command, *lines = session.rstrip("\n").split("\n")
            yield command, lines


def test_every_situation_is_made_and_has_a_command() -> None:
    assert list(PARTS) == list(SITUATIONS)
    assert len(PARTS) >= 20
    assert all(list(sessions(body)) for body in PARTS.values())


@pytest.fixture
def host(binary: Path) -> Iterator[Lab]:
    lab = Lab(binary, f"calico-rkt-lab-{os.getpid()}-runbook-{next(_numbers)}")
    try:
        make_whole(lab, binary)
        furnish(lab)
        for name, network, folder in (("c1", "web", "/etc/cni/net.d"), ("c2", "back", "/etc/cni/back.d")):
            lab.netns(name)
            lab.out("calico-rkt", "attach", network, name, "-C", folder)
        yield lab
    finally:
        lab.close()


@pytest.mark.parametrize("title", [pytest.param(t, marks=() if t in QUICK else pytest.mark.slow) for t in SITUATIONS])
def test_a_situation_looks_as_the_page_says(host: Lab, title: str) -> None:
    with SITUATIONS[title](host):
        for command, lines in sessions(PARTS[title]):
            done = host.run("sh", "-c", command, env=environment())
            said = (done.stdout + done.stderr).decode()
            assert "Traceback" not in said
            assert is_said(lines, said), f"$ {command}\n{said}"


def is_said(lines: list[str], said: str) -> bool:
    """Whether all lines are there, in this order and one behind the other; `...` as a line is any lines."""
    parts = [
        (r"(?:.*\n)*" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n") for line in lines
    ]
    return re.search("^" + "".join(parts), said + "\n", re.MULTILINE) is not None


def test_what_is_not_said_is_seen() -> None:
    assert is_said(["a", "...", "c ... e"], "0\na\nb\nb\nc d e\n")
    assert not is_said(["a", "c"], "a\nb\nc\n")
