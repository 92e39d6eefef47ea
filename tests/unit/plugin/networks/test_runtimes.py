"""Programs on the PATH in, the runtime that a network is for out; who might mean two is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.networks import runtimes


@pytest.mark.parametrize(
    ("programs", "found"),
    [
        (["podman"], ["podman"]),
        (["podman", "systemd-nspawn"], ["podman"]),
        (["systemd-nspawn"], ["attach"]),
        (["docker", "containerd"], ["attach"]),
        (["containerd", "crictl"], ["cri"]),
        (["containerd", "podman"], ["podman", "containerd"]),
        (["rkt", "nomad"], ["nomad", "rkt"]),
        ([], []),
    ],
)
def test_who_is_here(programs: list[str], found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in programs:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert runtimes.here() == found
    if len(found) == 1:
        assert runtimes.the_one_here() == found[0]
        return
    with pytest.raises(CniError) as e:
        runtimes.the_one_here()
    assert "--for " in e.value.details
    assert all(f"--for {name}" in e.value.details for name in found)
