"""A section's name in, the commands that README.md has there out; and run on a bare host, as who copies them does."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.chroots.host import DebianHost

README = Path(__file__).resolve().parents[3] / "README.md"
_ONLINE = ("apt-get ", "make ")
"""What has to reach the machine's package sources; all else stays in the host's own network."""
_FETCHED = ("curl ", "crictl pull ")
"""What comes from places that no test asks: the test puts it there."""
_BUILDS = 1500.0
"""Seconds that Debian's packages, Python's and the build may take on a machine that does much else."""


def commands(section: str) -> str:
    """The indented lines of a section, as a script; AssertionError where there is no such section, or it has none."""
    found = re.search(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", README.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no section {section!r}"
    lines = [line[4:] for line in found[1].splitlines() if line.startswith("    ")]
    assert lines, f"section {section!r} has no commands"
    return "\n".join(lines) + "\n"


def follow(
    host: DebianHost, section: str, prepared: Callable[[], object] = lambda: None
) -> subprocess.CompletedProcess[bytes]:
    """Run a section's commands in /root/calico-rkt, to the first that fails: packages first, then all else at once.

    prepared: called between the two, for what a machine does that is no container, such as starting a service, and for
    what the section fetches from elsewhere.
    """
    lines = commands(section).splitlines(keepends=True)
    there = "cd /root/calico-rkt && "
    for line in lines:
        if line.startswith(_ONLINE):
            host.online("bash", "-c", there + line, patience=_BUILDS)
    prepared()
    script = "".join(line for line in lines if not line.startswith(_ONLINE + _FETCHED))
    done = host.run("bash", "-euc", there + "true\n" + script)
    assert done.returncode == 0, f"{section}: {done.stdout.decode()}{done.stderr.decode()}"
    return done
