"""A DebianHost in, one whose runc starts containers though control groups have no controllers there out."""

from __future__ import annotations

from tests.chroots.host import DebianHost

# ctr asks for shares of the processor, and runc for the file that a controller would have.
_RUNC = """#!/usr/bin/python3
import json, os, sys
if "--bundle" in sys.argv and "cpu" not in open("/sys/fs/cgroup/cgroup.controllers").read().split():
    path = sys.argv[sys.argv.index("--bundle") + 1] + "/config.json"
    spec = json.load(open(path))
    spec["linux"].get("resources", {}).pop("cpu", None)
    json.dump(spec, open(path, "w"))
os.execv("/usr/sbin/runc", sys.argv)
"""


def without_controllers(host: DebianHost) -> None:
    """Put a runc before Debian's that leaves out what this machine's control groups can't do."""
    host.path(host.write("/usr/local/sbin/runc", _RUNC)).chmod(0o755)
