"""The socket of an agent's metrics in, a few words about the agent out, for `calico-rkt status`."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from calico_rkt.compiler.diagnostics import counted

METRICS = "metrics.sock"
"""The socket's name in the folder of this host's state."""

_PATIENCE = 3.0
_SAMPLE = re.compile(r"calico_rkt_(\w+)(?:\{(.*)\})? (\S+)\Z")
_BUILD = re.compile(r'build="([0-9a-f]+)"')
_CODE = re.compile(r'code="(\d+)"')


@dataclass(frozen=True, slots=True)
class Summary:
    """An agent since it began. seconds: how long ago; add_ms: an ADD's time on average, 0 before the first."""

    calls: int
    failed: int
    declined: int
    restores: int
    add_ms: float
    seconds: float
    megabytes: float
    build: str = ""
    """What `payload.build_of` says of the file that it was started from; empty of an older program."""

    def __str__(self) -> str:
        said = [
            f"{counted(self.calls, 'call')} since it began {self.seconds:.0f} s ago",
            f"{self.failed} failed",
            f"{self.declined} left to their launcher",
        ]
        if self.add_ms:
            said.append(f"an ADD takes {self.add_ms:.1f} ms on average")
        if self.restores:
            said.append(f"the table was built anew {counted(self.restores, 'time')}")
        return f"{', '.join(said)}, {self.megabytes:.0f} MB"


def ask(path: Path) -> Summary | None:
    """What the agent says of itself; None where none answers."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as to:
            to.settimeout(_PATIENCE)
            to.connect(str(path))
            to.sendall(b"GET /metrics?brief HTTP/1.0\r\n\r\n")
            data = b""
            while more := to.recv(1 << 16):
                data += more
    except OSError:
        return None
    return read_summary(data.decode(errors="replace").partition("\r\n\r\n")[2])


def read_summary(page: str) -> Summary:
    """The summary of a page of metrics."""
    samples = [m.groups() for m in map(_SAMPLE.match, page.splitlines()) if m]

    def total(name: str, label: str = "") -> float:
        return sum(float(v) for n, labels, v in samples if n == name and label in (labels or ""))

    requests = [(_CODE.search(labels or ""), float(v)) for n, labels, v in samples if n == "requests_total"]
    whole = 'verb="ADD",phase="all"'
    count = total("request_seconds_count", whole)
    return Summary(
        calls=int(sum(v for _, v in requests)),
        failed=int(sum(v for code, v in requests if code and code[1] != "0")),
        declined=int(total("declined_total")),
        restores=int(total("restores_total")),
        add_ms=total("request_seconds_sum", whole) / count * 1e3 if count else 0.0,
        seconds=max(0.0, time.time() - total("start_time_seconds")),
        megabytes=total("resident_bytes") / 1e6,
        build=next((m[1] for n, labels, _ in samples if n == "build_info" and (m := _BUILD.search(labels or ""))), ""),
    )
