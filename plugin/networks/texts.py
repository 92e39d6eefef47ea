"""A network's name, subnets and runtime in, the text of its conf and of its first override out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from calico_rkt.compiler.targets.printing import render_template
from calico_rkt.plugin.networks.runtimes import RUNTIMES, Runtime
from calico_rkt.plugin.networks.subnets import Net

_PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}


def conf_text(name: str, nets: Sequence[Net], runtime: Runtime) -> str:
    """A list with a mapper of ports behind this plugin, or this plugin alone: as the runtime reads it."""
    ranges: dict[str, Any] = (
        {"subnet": str(nets[0])} if len(nets) == 1 else {"ranges": [[{"subnet": str(n)}] for n in nets]}
    )
    plugin: dict[str, Any] = {"type": "calico", "ipam": {"type": "host-local", **ranges}}
    if runtime.ports:
        plugin["capabilities"] = {"portMappings": True}
    version = {} if runtime is RUNTIMES["rkt"] else {"cniVersion": "1.0.0"}
    whole = {**version, "name": name, **({"plugins": [plugin, _PORTMAP]} if runtime.listed else plugin)}
    return _laid_out(whole)


def _laid_out(conf: Mapping[str, Any]) -> str:
    """JSON as people write it: a line a key, and in a list of plugins one a plugin."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in conf.items() if key != "plugins"]
    if "plugins" in conf:
        lines.append('  "plugins": [\n' + ",\n".join(f"    {json.dumps(p)}" for p in conf["plugins"]) + "\n  ]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def override_text(name: str) -> str:
    """An override that says the default, with other rules as comments, to be used by taking their "# " away."""
    return render_template("networks/override.yaml.j2", name=name)
