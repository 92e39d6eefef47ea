"""The lines that containerd's own file lacks, read back as containerd does."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from calico_rkt.plugin.networks import configured

V2 = "io.containerd.grpc.v1.cri"
DEBIAN = 'version = 2\n[plugins]\n  [plugins."io.containerd.grpc.v1.cri".cni]\n    bin_dir = "/usr/lib/cni"\n'


@pytest.mark.parametrize(
    ("before", "part"),
    [("", V2), (DEBIAN, V2), ("version = 3\n", "io.containerd.cri.v1.runtime")],
)
def test_containerd_has_runc_and_each_handler_once(
    before: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who names a handler has none but those that are named."""
    file = tmp_path / "config.toml"
    if before:
        file.write_text(before)
    monkeypatch.setattr(configured, "_CONTAINERD", str(file))
    for name in ("back", "b.2"):
        printf, restart = configured.handler(name, f"/etc/cni/{name}.d")
        assert restart == "systemctl restart containerd"
        subprocess.run(["sh", "-euc", printf], check=True)
        assert configured.handler(name, "/etc/cni/x") == []
    said = tomllib.loads(file.read_text())
    runtimes = said["plugins"][part]["containerd"]["runtimes"]
    assert {n: r.get("cni_conf_dir") for n, r in runtimes.items()} == {
        "runc": None,
        "back": "/etc/cni/back.d",
        "b.2": "/etc/cni/b.2.d",
    }
    assert said["version"] in (2, 3)
