"""containerd's configuration in, what it lacks for a network out; nothing is written."""

from __future__ import annotations

from calico_rkt.plugin.doctor.runtimes.reader import read_toml

_CONTAINERD = "/etc/containerd/config.toml"
_CRI = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime"}
"""What the CRI's part of containerd's file is called, by the version that the file says it has."""
_RUNC = 'runtime_type = "io.containerd.runc.v2"'


def handler(name: str, folder: str) -> list[str]:
    """The commands that make a runtime handler whose networks are in a folder; none where there is one of that name.

    Who names one handler has none but those that are named: runc, which all other pods use, comes with the first.
    """
    known = read_toml(_CONTAINERD, "containerd")
    version = 3 if known.get("version") == 3 else 2
    there = known.get("plugins", _CRI[version], "containerd", "runtimes")
    there = there if isinstance(there, dict) else {}
    if name in there:
        return []
    table = f'[plugins."{_CRI[version]}".containerd.runtimes.'
    lines = [] if known.text else ["version = 2"]
    lines += [] if there else [f"{table}runc]", _RUNC]
    lines += [f"{table}{_key(name)}]", _RUNC, f'cni_conf_dir = "{folder}"']
    words = " ".join(f"'{line}'" for line in lines)
    return [f"printf '%s\\n' {words} >>{_CONTAINERD}", "systemctl restart containerd"]


def _key(name: str) -> str:
    return f'"{name}"' if "." in name else name
