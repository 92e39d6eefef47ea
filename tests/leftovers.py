"""A process of a test run in, what its tests left behind on this machine out: found, named, and taken away."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_NAMESPACES, _CGROUPS = Path("/run/netns"), Path("/sys/fs/cgroup")
_PATIENCE = 60.0
"""Seconds that a killed process has to end."""
_HOST = (
    *("/run/calico-rkt", "/var/lib/calico-rkt", "/var/log/calico-rkt", "/etc/calico-rkt", "/opt/cni", "/etc/cni"),
    *("/usr/lib/cni/calico", "/usr/local/bin/calico-rkt", "/etc/systemd/system/calico-rkt-agent.socket"),
)
"""What the plugin and its install make on a host; a test has a host of its own for that."""


def adopt_orphans() -> None:
    """Whatever a program that this process started leaves running becomes a child of this process."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> set[int]:
    """The pids of this process' children, ended ones that nobody waited for included."""
    found: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has just ended
            found.update(map(int, (thread / "children").read_text().split()))
    return found


def end_children(before: set[int]) -> list[str]:
    """End the children that came since, with theirs; the command lines of those that still ran."""
    found: dict[int, str] = {}
    deadline = time.monotonic() + _PATIENCE
    while (late := children() - before) and time.monotonic() < deadline:  # children of one that is ended come here, too
        for pid in late - found.keys():
            if line := _command(pid):
                found[pid] = f"process {pid}: {line[:200]}"
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        _reap(late)  # of all: a pid namespace's first process ends after those who entered it, in whatever order
        time.sleep(0.01)
    return [*found.values(), *(f"process {pid} does not end" for pid in late)]


def remove_cgroup(group: Path) -> None:
    """A cgroup and those below it, of whom some may be going by themselves just then."""
    for _ in range(10):
        with contextlib.suppress(FileNotFoundError):
            for folder in sorted((*group.glob("**/"), group), reverse=True):
                with contextlib.suppress(OSError):
                    folder.rmdir()
            return


def remove_cgroups(beginning: str) -> None:
    """Those whose names begin so, at any depth, while others' come and go."""
    for folder, names, _ in os.walk(_CGROUPS):
        for name in names:
            if name.startswith(beginning):
                remove_cgroup(Path(folder, name))


def end_namespaces() -> list[str]:
    """Delete the network namespaces and the cgroups that carry this process' pid in their names; what there was."""
    me = os.getpid()
    found = [f"network namespace {path.name}" for path in _NAMESPACES.glob(f"crkt-{me}-*")]
    for path in _NAMESPACES.glob(f"crkt-{me}-*"):
        subprocess.run(["ip", "netns", "del", path.name], check=False, capture_output=True)
    for group in _CGROUPS.glob(f"calico-rkt-lab-{me}-*"):
        found.append(f"cgroup {group}")
        remove_cgroup(group)
    return found


def on_the_host() -> set[str]:
    """Links and folders of ours on the machine that runs the tests, where none should come to be."""
    links = {f"link {name}" for _, name in socket.if_nameindex() if name.startswith(("crk", "cali"))}
    return links | {path for path in _HOST if os.path.lexists(path)}


def settled(before: set[int], seconds: float = 2.0) -> list[str]:
    """As end_children, after what is about to end has had its time."""
    deadline = time.monotonic() + seconds
    while children() - before and time.monotonic() < deadline:
        _reap(children() - before)
        time.sleep(0.02)
    return end_children(before)


def reap_entered() -> None:
    """Wait for the ended children that are in a pid namespace below ours: its first process waits for them for ever.

    They come here when whoever entered the namespace with them is gone. No Popen of a test is one of them.
    """
    for pid in children():
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            inside = status.partition("NSpid:")[2].partition("\n")[0].split()
            if "\nState:\tZ" in status and len(inside) > 1:
                os.waitpid(pid, os.WNOHANG)


def _command(pid: int) -> str:
    """A process' command line; an ended one has none."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def _reap(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
