"""A lab in, what calico-rkt's commands for people say on that host out."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.clients.support.lab import PLUGINS, Lab, environment


def tool(lab: Lab, *argv: str) -> subprocess.CompletedProcess[bytes]:
    """A command, run to its end."""
    done = lab.run(f"{PLUGINS}/calico", *argv, env=environment())
    assert b"Traceback" not in done.stdout + done.stderr, done
    return done


def status(lab: Lab) -> dict[str, Any]:
    """`status` as JSON."""
    loaded: dict[str, Any] = json.loads(tool(lab, "status", "--format", "json").stdout)
    return loaded


def states(lab: Lab) -> dict[str, str]:
    """Each network's state by its id."""
    return {n["network_id"]: n["state"] for n in status(lab)["networks"]}
