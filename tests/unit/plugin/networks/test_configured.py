"""What podman's and containerd's own files say, and the lines that they lack: these are read back as those would."""

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
    monkeypatch.setattr(configured, "_CONTAINERD", file)
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


def test_the_last_file_that_names_podman_s_backend_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop_ins = tmp_path / "containers.conf.d"
    files = tuple(tmp_path / name for name in ("usr.conf", "etc.conf"))
    monkeypatch.setattr(configured, "DROP_IN", str(drop_ins))
    monkeypatch.setattr(configured, "_PODMAN", files)
    assert configured.backend() == ""
    files[0].write_text('[network]\nnetwork_backend = "netavark"\n')
    files[1].write_text("[network\n")
    assert configured.backend() == "netavark"
    drop_ins.mkdir()
    (drop_ins / "cni.conf").write_text('[network]\nnetwork_backend = "cni"\n')
    (drop_ins / "zz.conf").write_text("[engine]\n")
    assert configured.backend() == "cni"
