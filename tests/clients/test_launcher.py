"""The launcher in front of whatever listens at the agent's socket: it never hangs, lies, or does a call twice."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.support.agent import SOCKET
from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import PLUGINS, Lab, conf, environment, pool, until
from tests.launcher import compiled

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"))
TRY_AGAIN = 11
_FAKE = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
os.makedirs(os.path.dirname(sys.argv[1]), 0o700, exist_ok=True)
listener.bind(sys.argv[1])
listener.listen(1)
open(sys.argv[1] + ".ready", "w").close()
while True:
    connection, _ = listener.accept()
    if sys.argv[2] != "at once":
        connection.recv(1 << 20)
    if sys.argv[2] == "hears nothing":
        connection.shutdown(socket.SHUT_RD)
    connection.sendall(bytes.fromhex(sys.argv[3]))
    if sys.argv[2] == "then waits":
        connection.recv(1)
    connection.close()
"""


def frame(kind: str, status: int = 0, out: int = 0, err: int = 0, text: bytes = b"") -> bytes:
    return struct.pack("=4I", ord(kind), status, out, err) + text


@pytest.fixture
def lab(bare_lab: Lab) -> Lab:
    return bare_lab


@pytest.fixture
def fake(lab: Lab) -> Callable[[str, bytes], None]:
    """Something that is no agent of ours: says these bytes and closes, or waits for one more, or listens no more."""

    def start(manner: str, says: bytes) -> None:
        lab.start("/usr/bin/python3", "-IS", "-c", _FAKE, SOCKET, manner, says.hex(), env=environment())
        until(lambda: lab.path(f"{SOCKET}.ready").exists(), "it listens")

    return start


@pytest.mark.parametrize(
    ("manner", "says"),
    [
        ("at once", b""),
        ("then closes", b""),
        ("then closes", b"no frame"),
        ("then closes", frame("D")),
        ("then closes", frame("?", 7, 7, 7)),
        ("then waits", frame("D")),
        ("then waits", b""),
    ],
)
def test_what_is_not_taken_is_done_here(
    lab: Lab, cni: Caller, fake: Callable[[str, bytes], None], manner: str, says: bytes
) -> None:
    fake(manner, says)
    assert addresses(cni.add(WEB, "c1", lab.netns("c1")))
    cni.delete(WEB, "c1", "/var/run/netns/c1")
    assert lab.left() == {}


@pytest.mark.parametrize(
    "says",
    [
        frame("T"),
        frame("T") + b"half",
        frame("T") + frame("R", 0, 1000, 0, b'{"ips'),
        frame("T") + frame("R", 0, 1 << 31, 1 << 31),
        frame("T") + frame("T"),
    ],
)
def test_a_lost_add_is_taken_back_and_a_lost_del_is_done(
    lab: Lab, cni: Caller, fake: Callable[[str, bytes], None], says: bytes
) -> None:
    first = cni.add(WEB, "before", lab.netns("before"))
    fake("then closes", says)
    reply = cni("ADD", WEB, "c1", lab.netns("c1"))
    assert reply.refused(TRY_AGAIN)["cniVersion"] == WEB["cniVersion"]
    assert cni("ADD", WEB, "before", "/var/run/netns/before").refused(TRY_AGAIN)
    assert cni("CHECK", {**WEB, "prevResult": first}, "before", "/var/run/netns/before").succeeded(), "still whole"
    cni.delete(WEB, "before", "/var/run/netns/before")
    assert lab.left() == {}


def test_an_answer_is_passed_on_as_it_is(lab: Lab, cni: Caller, fake: Callable[[str, bytes], None]) -> None:
    fake("then waits", frame("T") + frame("R", 3, 5, 4, b"outs\nerr\n"))
    reply = cni("ADD", WEB, "c1", lab.netns("c1"))
    assert (reply.status, reply.stdout, reply.stderr) == (3, b"outs\n", b"err\n")


def test_an_add_that_the_agent_waited_for_in_vain_is_no_success(
    lab: Lab, cni: Caller, fake: Callable[[str, bytes], None]
) -> None:
    """It takes the attachment back when no word comes, so the launcher must not say that all is well."""
    fake("hears nothing", frame("T") + frame("R", 0, 3, 0, b"{}\n"))
    late = cni("ADD", WEB, "c1", lab.netns("c1"))
    assert late.status != 0
    assert b'"code": 11' in late.stdout
    assert cni("DEL", WEB, "c1", "/var/run/netns/c1").succeeded(), "whose answer needs no word"


def test_without_python_the_error_is_cni_json(lab: Lab) -> None:
    """A root with nothing but the launcher in it."""
    root = lab.path("/run/lab/bare")
    root.mkdir()
    shutil.copy(lab.path(PLUGINS, "calico"), root / "calico")
    (root / "proc").mkdir()
    lab.out("mount", "-t", "proc", "proc", "/run/lab/bare/proc")
    bare = ("env", "-i", "CNI_COMMAND=ADD", "/usr/sbin/chroot", "/run/lab/bare", "/calico")
    done = lab.run(*bare, env=environment(), stdin=b"{}")
    error = json.loads(done.stdout)
    assert done.returncode == 1
    assert "python3 (3.11 or newer) is needed" in error["msg"]


def test_the_launcher_has_no_undefined_behaviour_in_these_calls(
    lab: Lab, fake: Callable[[str, bytes], None], tmp_path: Path
) -> None:
    """The same source under the compiler's sanitizers, which end the program at the first fault."""
    flags = "-std=c11 -g -D_GNU_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all -static-libasan"
    built = compiled(tmp_path / "launcher", flags=flags)
    lab.write("/opt/checked", built.read_bytes() + lab.path(PLUGINS, "calico").read_bytes())
    lab.path("/opt/checked").chmod(0o755)
    checked = Caller(lab, "/opt/checked")
    long_name = "x" * 5000
    assert checked("VERSION", {}).succeeded().json["supportedVersions"]
    checked.add(WEB, "before", lab.netns("before"))
    fake("then closes", frame("T") + frame("R", 0, 1000, 5, b"short"))
    for container, more in (("c1", {}), (long_name, {}), ("c1", {f"CNI_{i}": long_name for i in range(40)})):
        reply = checked("ADD", WEB, container, "/var/run/netns/missing", **more)
        assert b"Sanitizer" not in reply.stderr, reply
        assert reply.refused()
    checked.delete(WEB, "before", "/var/run/netns/before")
    assert lab.left() == {}


@pytest.mark.parametrize("how", ["by its path", "by PATH", "through two links"])
def test_a_link_called_compile_profile_is_that_command(lab: Lab, how: str) -> None:
    lab.out("mkdir", "/opt/bin")
    lab.out("ln", "-s", f"{PLUGINS}/calico", "/opt/bin/calico-rkt")
    lab.out("ln", "-s", "calico-rkt" if how == "through two links" else f"{PLUGINS}/calico", "/opt/bin/compile-profile")
    name = "compile-profile" if how == "by PATH" else "/opt/bin/compile-profile"
    path = {"PATH": "/opt/bin:/usr/sbin:/usr/bin:/sbin:/bin", "CNI_COMMAND": "ADD"}
    lab.write("/run/web.conf", json.dumps(WEB))
    done = lab.run("sh", "-c", f"{name} /run/web.conf --target nftables", env=environment(path))
    assert (done.returncode, b"table inet calico_rkt" in done.stdout) == (0, True), done
    assert lab.run("/opt/bin/calico-rkt", "compile", "/run/web.conf", "--target", "nftables").stdout == done.stdout
    bare = lab.run("sh", "-c", name, env=environment(path))
    assert (bare.returncode, bare.stdout) == (2, b""), bare
    assert bare.stderr.startswith(b"usage: compile-profile ")
