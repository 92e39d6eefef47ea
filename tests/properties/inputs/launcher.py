"""Arguments, environment, descriptors and an agent's answers in; the launcher under sanitizers, as a door, out."""

from __future__ import annotations

import json
import resource
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

from tests.launcher import compiled
from tests.properties.inputs.descriptors import KINDS, ran
from tests.properties.inputs.door import SECONDS, Door

_FLAGS = "-std=c11 -g -D_GNU_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all -static-libasan"
_FOUND = 99
"""What the sanitizers end it with."""


@dataclass(slots=True)
class _Place:
    """The built launcher and a listener that stands in for an agent, whatever that says."""

    folder: Path
    says: list[bytes] = field(default_factory=list)
    over: bool = False

    def listen(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                if self.over:
                    return
                connection.settimeout(5)
                connection.recv(1 << 20)
                for piece in self.says:
                    connection.sendall(piece)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 16):
                    pass


_PLACES: list[_Place] = []


@contextmanager
def place() -> Iterator[None]:
    """What inputs are tried in."""
    with tempfile.TemporaryDirectory(prefix="crk-", dir="/tmp") as name, socket.socket(socket.AF_UNIX) as listener:
        here = _Place(Path(name))
        compiled(here.folder / "launcher", flags=_FLAGS)
        listener.bind(f"{name}/agent.sock")
        listener.listen()
        thread = threading.Thread(target=here.listen, args=(listener,))
        thread.start()
        _PLACES.append(here)
        try:
            yield
        finally:
            _PLACES.pop()
            here.over = True
            with socket.socket(socket.AF_UNIX) as last:
                last.connect(f"{name}/agent.sock")
            thread.join()


@dataclass(frozen=True, slots=True)
class Start:
    """One start of it; agent: the pieces that the agent says, None without one."""

    command: str | None = "ADD"
    words: tuple[str, ...] = ()
    more: tuple[tuple[str, str], ...] = ()
    stdin: bytes = b"{}"
    kinds: tuple[str, str, str] = ("pipe", "pipe", "pipe")
    agent: tuple[bytes, ...] | None = None


def frame(kind: str, status: int = 0, out: bytes = b"", err: bytes = b"") -> bytes:
    return struct.pack("=4I", ord(kind), status, len(out), len(err)) + out + err


def enter(start: Start) -> tuple[int, bytes | None]:
    """Status and stdout, after a look at what must hold always."""
    here = _PLACES[-1]
    here.says = list(start.agent or ())
    env = {
        "PATH": "/usr/bin:/bin",
        "CALICO_RKT_RUN_DIR": str(here.folder if start.agent is not None else here.folder / "none"),
        "ASAN_OPTIONS": f"exitcode={_FOUND}:detect_leaks=0:log_path={here.folder}/found",
        "UBSAN_OPTIONS": f"exitcode={_FOUND}:log_path={here.folder}/found",
        **dict(start.more),
        **({"CNI_COMMAND": start.command} if start.command is not None else {}),
    }
    before = _children()
    status, out = ran((str(here.folder / "launcher"), *start.words), env, start.stdin, start.kinds)
    assert _children() - before < SECONDS
    found = [path.read_text() for path in here.folder.glob("found*")]
    for path in here.folder.glob("found*"):
        path.unlink()
    assert not found, found
    assert 0 <= status < 256, status
    assert status != _FOUND
    if out:
        assert isinstance(json.loads(out), dict), out
    is_call = start.command is not None and start.words in ((), ("--trace",))
    if is_call and start.kinds[1] in ("closed", "full"):
        assert status, "it says that all is well, and nobody has the answer"
    return status, out


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


_numbers = st.sampled_from([0, 1, 2, 255, 256, 1 << 22, (1 << 22) + 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1])
_wholes = st.sampled_from(
    [
        *(frame("T"), frame("D"), frame("R", 0, b"{}\n"), frame("R", 1, b'{"code": 1}\n', b"why\n"), b""),
        *(frame("R", 0, b"{}\n", b"x" * 70_000), frame("R", 256, b"{}\n"), frame("R", (1 << 32) - 1, b"{}\n")),
    ]
)
# Last, since what follows would be taken for what they promise: what an agent answers is passed on as it is.
_lasts = st.sampled_from([frame("T")[:9], frame("R", 0, b"{}\n")[:-1]]) | st.builds(
    lambda kind, a, b, c: struct.pack("=4I", kind, a, b, c), st.sampled_from([*b"TDR", 0, 99]), *[_numbers] * 3
)
_agents = st.builds(lambda wholes, last: (*wholes, *last), st.lists(_wholes, max_size=2), st.lists(_lasts, max_size=1))
_words = st.sampled_from([(), (), (), (), ("--trace",), ("--trace", "x"), ("status",), ("",), ("x" * 5000,)])
_more = st.dictionaries(
    st.sampled_from(["CNI_NETNS", "CNI_CONTAINERID", "CNI_ARGS", "CALICO_X", "ETCD_X", "CNI_"]),
    st.sampled_from(["", "/", "/dev/full", "/proc/self/ns/net", "x" * 4096, "x" * 120_000, "\udcff", "=", "a\nb"]),
    max_size=3,
).map(lambda found: tuple(found.items()))
_starts = st.builds(
    Start,
    st.sampled_from(["ADD", "ADD", "DEL", "CHECK", "VERSION", "", "x" * 300, None]),
    _words,
    _more,
    st.sampled_from([b"", b"{}", b"\0", b"{" * 1000, b"x" * 60_000]),
    st.tuples(*[st.sampled_from(KINDS)] * 3),
    st.none() | _agents,
)
LAUNCHER = Door(
    "the launcher",
    "arguments, environment, descriptors (closed, full, non-blocking) and an agent's frames, under sanitizers",
    _starts,
    enter,
    share=40,
    setting=place,
)
