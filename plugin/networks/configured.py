"""The configuration of podman and containerd here in, what it lacks for a network out; nothing is written."""

from __future__ import annotations

import re
import subprocess
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

DROP_IN = "/etc/containers/containers.conf.d"
_PODMAN = (Path("/usr/share/containers/containers.conf"), Path("/etc/containers/containers.conf"))
_CONTAINERD = Path("/etc/containerd/config.toml")
_CRI = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime"}
"""What the CRI's part of containerd's file is called, by the version that the file says it has."""
_RUNC = 'runtime_type = "io.containerd.runc.v2"'
_PATIENCE = 20.0


def podman_version() -> int:
    """The major version of this host's podman; 0 where there is none, or it does not say."""
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            ["podman", "--version"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_PATIENCE
        )
        found = re.search(rb"version (\d+)", done.stdout)
        return int(found[1]) if found else 0
    return 0


def backend() -> str:
    """What podman's configuration says of its network backend; empty where it says nothing, or can't be read."""
    drop_ins = sorted(Path(DROP_IN).glob("*.conf")) if Path(DROP_IN).is_dir() else []
    said = [_read(path).get("network") for path in (*_PODMAN, *drop_ins)]
    named = [str(part["network_backend"]) for part in said if isinstance(part, dict) and "network_backend" in part]
    return named[-1] if named else ""


def handler(name: str, folder: str) -> list[str]:
    """The commands that make a runtime handler whose networks are in a folder; none where there is one of that name.

    Who names one handler has none but those that are named: runc, which all other pods use, comes with the first.
    """
    known = _read(_CONTAINERD)
    version = 3 if known.get("version") == 3 else 2
    there: Any = known
    for key in ("plugins", _CRI[version], "containerd", "runtimes"):
        there = there.get(key) if isinstance(there, dict) else None
    there = there if isinstance(there, dict) else {}
    if name in there:
        return []
    table = f'[plugins."{_CRI[version]}".containerd.runtimes.'
    lines = [] if known else ["version = 2"]
    lines += [] if there else [f"{table}runc]", _RUNC]
    lines += [f"{table}{_key(name)}]", _RUNC, f'cni_conf_dir = "{folder}"']
    words = " ".join(f"'{line}'" for line in lines)
    return [f"printf '%s\\n' {words} >>{_CONTAINERD}", "systemctl restart containerd"]


def _key(name: str) -> str:
    return f'"{name}"' if "." in name else name


def _read(path: Path) -> dict[str, Any]:
    """A TOML file; empty where there is none, or nobody can read it."""
    with suppress(OSError, ValueError):
        return tomllib.loads(path.read_text())
    return {}
