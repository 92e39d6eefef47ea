"""A chain of plugins that is asked to end half way: what had begun is taken back, whoever was at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from calico_rkt.compiler.conf.chain import Chain
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.model import Key
from calico_rkt.plugin.process import signals
from calico_rkt.plugin.runtime import chain as plugins

OURS = """#!/bin/sh
echo $CNI_COMMAND >>{calls}
[ $CNI_COMMAND = ADD ] || exit 0
trap 'echo "{{\\"cniVersion\\": \\"1.0.0\\"}}"; exit {status}' TERM
while :; do sleep 0.1; done
"""


@pytest.mark.parametrize("status", [0, 1])
def test_an_add_of_ours_that_was_asked_to_end_is_taken_back_however_it_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int
) -> None:
    """It may have been done already, and nobody has its answer."""
    program, calls = tmp_path / "calico", tmp_path / "calls"
    program.write_text(OURS.format(calls=calls, status=status))
    program.chmod(0o755)
    monkeypatch.setattr(plugins, "ours", lambda: ([str(program)], ()))
    chain = Chain("web", "1.0.0", ({"type": "calico"},))
    call = plugins.Call(Key("web", "c1", "eth0"), "/run/netns/c1", (str(tmp_path),), {})
    with signals.watched(lambda: "asked to end"), pytest.raises(CniError, match="asked to end, while it waited for"):
        plugins.add(chain, call)
    assert calls.read_text().split() == ["ADD", "DEL"]
