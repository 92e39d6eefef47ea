"""CNI calls as a runtime makes them, each a process, in the namespaces of the bench; their wall time in seconds."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ROOT / "dist" / "calico"
PEER = Path("/usr/lib/cni/ptp")
RUN_DIR = Path("/run/calico-rkt")
ENVIRON = {
    "CALICO_RKT_RUN_DIR": str(RUN_DIR),
    "CALICO_RKT_LIB_DIR": "/run/calico-rkt-lib",
    "CALICO_IPAM_LOCK_FILE": "/run/calico-ipam.lock",
    "CNI_PATH": "/usr/lib/cni",
    "PATH": os.environ["PATH"],
}
_STARTS = 400
_AT_THE_GATE = 1.0


def prepare() -> None:
    """Make these namespaces a host: folders of its own, and an address, as every host has one."""
    for folder in ("/run", "/var/log"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    for line in ("link set lo up", "link add up0 type bridge", "address add 192.0.2.1/24 dev up0", "link set up0 up"):
        subprocess.run(["ip", *line.split()], check=True)


def conf(plugin: str, name: str, subnet: str, **more: object) -> bytes:
    ipam = {"type": "host-local", "subnet": subnet}
    if plugin == "ptp":
        ipam["dataDir"] = "/run/host-local"
    return json.dumps({"cniVersion": "1.0.0", "name": name, "type": plugin, "ipam": ipam, **more}).encode()


def call(binary: Path, command: str, conf: bytes, container: str, ifname: str = "eth0") -> float:
    """One call that has to succeed."""
    env = environment(command, container) | {"CNI_IFNAME": ifname}
    begin = time.perf_counter()
    done = subprocess.run([str(binary)], input=conf, env=env, capture_output=True, check=False)
    took = time.perf_counter() - begin
    if done.returncode:
        sys.exit(f"bench: {binary.name} {command}: {done.stdout.decode()}{done.stderr.decode()}")
    return took


def environment(command: str, container: str) -> dict[str, str]:
    return ENVIRON | {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": f"/run/netns/{container}",
        "CNI_IFNAME": "eth0",
    }


def at_once(binary: Path, command: str, conf: bytes, containers: Sequence[str]) -> float:
    """As many calls at once as there are containers: from the moment they may begin to the last one's end.

    Each waits at a gate as a process of its own, so that what is measured is the calls and not this program's forks.
    """
    folder = Path("/run/bench-gate")
    folder.mkdir(exist_ok=True)
    (folder / "conf").write_bytes(conf)
    gate = folder / "gate"
    gate.unlink(missing_ok=True)
    os.mkfifo(gate)
    waiting = [
        subprocess.Popen(
            ["/bin/sh", "-c", 'read -r _ <"$1"; exec "$0" <"$2"', str(binary), str(gate), str(folder / "conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment(command, name),
        )
        for name in containers
    ]
    until = time.monotonic() + _AT_THE_GATE
    while any("wait_for_partner" not in Path(f"/proc/{p.pid}/wchan").read_text() for p in waiting):
        if time.monotonic() > until:
            break  # a kernel that does not say where a process waits
        time.sleep(0.002)
    begin = time.perf_counter()
    gate.open("w").close()
    for process in waiting:
        process.wait()
    took = time.perf_counter() - begin
    for process in waiting:
        assert process.stdout is not None
        with process.stdout as stdout:
            if process.returncode:
                sys.exit(f"bench: {binary.name} {command}: {stdout.read().decode()}")
    return took


def netns(verb: str, names: Sequence[str]) -> None:
    """`add` or `del` many at once."""
    lines = "".join(f"netns {verb} {name}\n" for name in names)
    subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)


def wall(*argv: str, env: dict[str, str] | None = None) -> float:
    begin = time.perf_counter()
    subprocess.run(argv, stdout=subprocess.DEVNULL, env=env, check=True)
    return time.perf_counter() - begin


class Agent:
    """A running agent's figures."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def memory(self) -> float:
        """MB of resident memory."""
        return int(self._read("statm").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def ticks(self) -> int:
        """Processor time used, in clock ticks (10 ms)."""
        fields = self._read("stat").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def switches(self) -> int:
        """How often its threads have been woken or put aside."""
        statuses = Path(f"/proc/{self.process.pid}/task").glob("*/status")
        lines = (line for s in statuses for line in s.read_text().splitlines() if "ctxt_switches" in line)
        return sum(int(line.split()[1]) for line in lines)

    def phases(self) -> dict[tuple[str, str], tuple[float, int]]:
        """By verb and phase: seconds in all, and calls."""
        with socket.socket(socket.AF_UNIX) as to:
            to.connect(str(RUN_DIR / "metrics.sock"))
            to.sendall(b"GET /metrics?brief HTTP/1.0\r\n\r\n")
            page = b"".join(iter(lambda: to.recv(1 << 16), b"")).decode()
        found: dict[tuple[str, str], list[float]] = {}
        for line in page.splitlines():
            name, _, rest = line.partition("{")
            if name.removeprefix("calico_rkt_request_seconds_") in ("sum", "count"):
                labels, _, value = rest.partition("} ")
                verb, phase = (part.partition("=")[2].strip('"') for part in labels.split(","))
                found.setdefault((verb, phase), []).append(float(value))
        return {key: (total, int(count)) for key, (total, count) in found.items()}

    def _read(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text()


@contextmanager
def agent() -> Iterator[Agent]:
    """The built agent, serving."""
    process = subprocess.Popen([str(OURS), "agent"], env=ENVIRON, stdin=subprocess.DEVNULL)
    try:
        for _ in range(_STARTS):
            if (RUN_DIR / "agent.sock").exists():
                break
            time.sleep(0.01)
        yield Agent(process)
    finally:
        process.terminate()
        process.wait()
