"""A lab in; `calico-rkt trace` watching in it while a test sends, and what it told of that, out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from calico_rkt.compiler.cli.formats.json_schema import answers
from tests.clients.support.lab import HANGS, PLUGINS, Lab

_VALIDATOR = Draft202012Validator(answers())
PACKETS = """
import socket, struct, sys
kind, source, target, number = sys.argv[1:]
if kind == "udp":
    s = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_IP, 15, 1) if source else None
    s.bind((source, 0)) if source else None
    s.sendto(b"x", (target, int(number)))
elif kind == "parts":
    s = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b"x" * 4000, (target, int(number)))
elif kind == "part":
    head = struct.pack("!BBHHHBBH", 0x45, 0, 44, 7, 0x2000, 64, 17, 0) + bytes(4) + socket.inet_aton(target)
    body = struct.pack("!4H", 9, int(number), 40, 0) + bytes(16)
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW).sendto(head + body, (target, 0))
elif kind == "tcp":
    s = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_STREAM)
    s.setblocking(False)
    s.connect_ex((target, int(number)))
    import time; time.sleep(0.2)
else:
    body = struct.pack("!BBHHH", int(number), 0, 0, 7, 1)
    body = struct.pack("!BBHHH", int(number), 0, 0xFFFF - sum(struct.unpack("!4H", body)) % 0xFFFF, 7, 1)
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).sendto(body, (target, 0))
"""
"""A program that sends one packet: udp, tcp (one SYN) or icmp of a type; a source that is not its own is taken, too.

parts is UDP in fragments, part the first of such ones alone.
"""


def send(lab: Lab, inside: str, kind: str, target: str, number: int, source: str = "") -> None:
    """Send one packet from a network namespace of the lab, by name or path; of the host where that is empty."""
    program = ("/usr/bin/python3", "-IS", "-c", PACKETS, kind, source, target, str(number))
    if inside.startswith("/"):
        done = lab.run("nsenter", f"--net={inside}", *program)
    else:
        done = lab.run(*program, inside=inside)
    assert done.returncode == 0, done.stderr.decode()


@dataclass(frozen=True)
class Traced:
    """The packets that were told, and what was said at the end."""

    packets: list[dict[str, Any]]
    end: dict[str, Any]
    status: int
    stderr: str

    @property
    def one(self) -> dict[str, Any]:
        (packet,) = self.packets
        return packet

    @property
    def decided(self) -> tuple[str, str, str]:
        """Of the only packet: its fate, the stage that decided, and file and line or else the rule in words."""
        last = self.one["stages"][-1]
        return self.one["fate"], last["stage"], last["line"] or last["rule"]


def started(lab: Lab, *argv: str, env: Mapping[str, str] | None = None) -> tuple[subprocess.Popen[str], str]:
    """A trace that watches already, and what it warned of before."""
    command = lab.command(f"{PLUGINS}/calico", "trace", *argv)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    stream = process.stderr if "json" in argv else process.stdout
    assert stream is not None
    line, warned = stream.readline(), ""
    while line.startswith("calico-rkt: warning"):
        line, warned = stream.readline(), warned + line
    if not line.startswith("watching"):
        out, err = process.communicate()
        raise AssertionError(line + out + err)
    return process, warned


def traced(lab: Lab, *argv: str, sending: Callable[[], object], count: int = 1, seconds: float = 60) -> Traced:
    """Trace until so many packets came, which sending() sends."""
    process, warned = started(lab, *argv, "--format", "json", "--count", str(count), "--for", str(seconds))
    sending()
    out, err = process.communicate(timeout=HANGS)
    assert "Traceback" not in err, err
    found = [json.loads(line) for line in out.splitlines()]
    for document in found:
        _VALIDATOR.validate(document)
    return Traced(found[:-1], found[-1], process.returncode, warned + err)
