"""Whose container lives: by its path, or by nothing but the kernel's own pair; and what frees the dead."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.support.caller import Caller, Reply, addresses
from tests.clients.support.lab import PLUGINS, Lab, conf, environment, pool, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"), cni="1.1.0")
DUAL = conf("web", pool("10.1.0.0/24", "fd00:1::/64"), cni="1.1.0")
SMALL = conf("small", {"type": "host-local", "subnet": "10.1.0.0/30"})
_HIDE = "mount -t tmpfs hidden /mnt && touch /mnt/ns && unshare --net=/mnt/ns true && echo $$ && exec sleep 1000"


class Hidden:
    """A mount namespace of its own, with a network namespace at /mnt/ns that no path outside leads to."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.process = subprocess.Popen(
            lab.command("unshare", "-m", "--propagation", "private", "sh", "-c", _HIDE),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.pid = self.process.stdout.readline().decode().strip()

    def call(
        self,
        command: str,
        of: dict[str, Any],
        container: str = "c1",
        netns: str = "/mnt/ns",
        home: tuple[str, ...] = (),
    ) -> Reply:
        """home: what leads into another network namespace than the host's first."""
        env = environment({"CNI_COMMAND": command, "CNI_PATH": PLUGINS, "CNI_IFNAME": "eth0"})
        env |= {"CNI_CONTAINERID": container, "CNI_NETNS": netns}
        argv = (*home, "nsenter", "-t", self.pid, "-m", f"{PLUGINS}/calico")
        done = self.lab.run(*argv, stdin=json.dumps(of).encode(), env=env)
        return Reply(done.returncode, done.stdout, done.stderr)

    def end(self) -> None:
        self.lab.run("kill", "-9", self.pid)
        self.process.wait()


@pytest.fixture
def hidden(lab: Lab) -> Iterator[Hidden]:
    made = Hidden(lab)
    yield made
    made.end()
    made.process.communicate()


def gc(lab: Lab, *argv: str) -> subprocess.CompletedProcess[bytes]:
    done = lab.run(f"{PLUGINS}/calico", "gc", *argv, env=environment())
    assert b"Traceback" not in done.stdout + done.stderr, done
    return done


def answers(lab: Lab, address: str) -> bool:
    ping = ("/bin/busybox", "ping", "-c", "1", "-W", "3", address)
    return any(lab.run(*ping).returncode == 0 for _ in range(3))


@pytest.mark.parametrize("of", [WEB, DUAL], ids=["IPv4", "both"])
def test_a_container_of_another_mount_namespace_lives_through_every_gc_on_the_host(
    lab: Lab, cni: Caller, hidden: Hidden, of: dict[str, Any]
) -> None:
    found = addresses(hidden.call("ADD", of).succeeded().json)
    assert all(answers(lab, a) for a in found)
    for keys in (
        {},
        {"cni.dev/valid-attachments": None},
        {"cni.dev/valid-attachments": []},
        {"cni.dev/attachments": []},
    ):
        cni("GC", {**of, **keys}).succeeded()
    said = gc(lab).stdout.decode()
    assert said.startswith("kept web c1 eth0: 10.1.0.1")
    assert "/mnt/ns" in said
    assert "its host end crk" in said
    assert "calico-rkt gc --attachment web/c1/eth0" in said
    assert all(answers(lab, a) for a in found)
    hidden.end()
    until(lambda: gc(lab).stdout.decode().startswith("freed web c1 eth0: 10.1.0.1"), "without its holder it is gone")
    assert lab.left() == {}


def test_gc_in_another_network_namespace_than_the_host_s_frees_nothing_that_it_can_not_judge(
    lab: Lab, cni: Caller, hidden: Hidden
) -> None:
    """The same /run, seen from a place where no host end can be."""
    (address,) = addresses(hidden.call("ADD", WEB).succeeded().json)
    cni.add(WEB, "c2", lab.netns("c2"))

    def elsewhere(*argv: str) -> subprocess.CompletedProcess[bytes]:
        return lab.run("unshare", "-n", f"{PLUGINS}/calico", "gc", *argv, env=environment())

    said = elsewhere().stdout.decode()
    assert said.startswith(f"kept web c1 eth0: {address}: it was attached from another network namespace than this one")
    assert "c2" not in said
    done = elsewhere("--attachment", "web/c1/eth0")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"run this there" in done.stderr
    assert answers(lab, address)
    hidden.call("DEL", WEB).succeeded()
    cni.delete(WEB, "c2", "/var/run/netns/c2")
    assert lab.left() == {}


@pytest.mark.parametrize("held", ["by a process in the host's namespace", "by a mount alone"])
def test_a_del_from_another_network_namespace_without_a_path_frees_all_that_is_at_home(
    lab: Lab, hidden: Hidden, held: str
) -> None:
    """The same /run and the same processes in sight, as a runtime has them that was started elsewhere."""
    home: tuple[str, ...] = ()
    if held == "by a mount alone":  # a host of its own, in which nobody runs
        lab.out("ip", "netns", "add", "home")
        home = ("nsenter", "--net=/run/netns/home")
    (address,) = addresses(hidden.call("ADD", WEB, home=home).succeeded().json)
    assert "crk" in lab.out(*home, "ip", "-o", "link")
    env = environment({"CNI_COMMAND": "DEL", "CNI_PATH": PLUGINS, "CNI_IFNAME": "eth0", "CNI_CONTAINERID": "c1"})
    done = lab.run("unshare", "-n", f"{PLUGINS}/calico", stdin=json.dumps(WEB).encode(), env=env)
    assert (done.returncode, done.stdout) == (0, b""), done
    assert "crk" not in lab.out(*home, "ip", "-o", "link")
    assert address not in lab.out(*home, "nft", "list", "table", "inet", "calico_rkt")
    assert lab.left() == {}
    if home:
        lab.out("ip", "netns", "del", "home")


def test_a_late_del_does_not_take_down_a_newer_attachment_that_is_out_of_sight(
    lab: Lab, cni: Caller, hidden: Hidden
) -> None:
    (address,) = addresses(hidden.call("ADD", WEB).succeeded().json)
    cni("DEL", WEB, netns=lab.netns("older")).succeeded()
    assert answers(lab, address)
    hidden.call("DEL", WEB).succeeded()
    assert lab.left() == {}


def test_a_namespace_that_only_a_descriptor_holds_is_named_and_freed_by_name(lab: Lab, cni: Caller) -> None:
    netns = lab.netns("c1")
    (address,) = addresses(cni.add(WEB, netns=netns))
    holder = subprocess.Popen(
        lab.command("sh", "-c", f"exec 7<{netns}; echo $$; exec sleep 1000"), stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    pid = holder.stdout.readline().decode().strip()
    try:
        lab.out("ip", "netns", "del", "c1")
        said = gc(lab).stdout.decode()
        assert said.startswith(f"kept web c1 eth0: {address}")
        assert "held open by process" in said
        assert "(sleep)" in said
        assert gc(lab, "--attachment", "web/c1/eth0", "--dry-run").stdout.startswith(b"would free web c1 eth0")
        assert answers(lab, address)
        done = gc(lab, "--attachment", "web/c1/eth0")
        assert (done.returncode, done.stdout.decode()) == (0, f"freed web c1 eth0: {address}\n")
        assert lab.left() == {}
    finally:
        lab.run("kill", "-9", pid)
        holder.communicate()


def test_a_living_attachment_is_freed_by_name_only_with_force(lab: Lab, cni: Caller) -> None:
    netns = lab.netns("c1")
    (address,) = addresses(cni.add(WEB, netns=netns))
    done = gc(lab, "--attachment", "web/c1/eth0")
    assert (done.returncode, done.stdout) == (1, b"")
    assert "web/c1/eth0 lives: /var/run/netns/c1 leads to it; nothing was freed" in done.stderr.decode()
    assert answers(lab, address)
    assert gc(lab, "--attachment", "web/c1/eth0", "--force").returncode == 0
    assert lab.left() == {}
    cni.delete(WEB, netns=netns)


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["--attachment", "web/c2/eth0"], "of network 'web': web/c1/eth0"),
        (["--attachment", "back/c1/eth0"], "of network 'back': none"),
        (["--attachment", "web/c1"], "NETWORK/CONTAINER/IFNAME"),
        (["--attachment", "web//eth0"], "NETWORK/CONTAINER/IFNAME"),
        (["--force"], "--attachment NETWORK/CONTAINER/IFNAME"),
    ],
)
def test_what_gc_can_not_free_by_name_it_says(bare_lab: Lab, argv: list[str], word: str) -> None:
    Caller(bare_lab).add(WEB, netns=bare_lab.netns("c1"))
    before = bare_lab.left()
    done = gc(bare_lab, *argv)
    assert done.returncode == 2
    assert word in done.stderr.decode()
    assert bare_lab.left() == before


def test_the_same_container_id_is_attached_again_when_its_old_namespace_is_gone(lab: Lab, cni: Caller) -> None:
    old = cni.add(DUAL, netns=lab.netns("old"))
    lab.out("ip", "netns", "del", "old")
    new = cni.add(DUAL, netns=lab.netns("new"))
    assert addresses(new) != addresses(old)
    assert all(answers(lab, a) for a in addresses(new))
    # By the same path, and the kernel most often gives the same number again.
    lab.out("ip", "netns", "del", "new")
    again = cni.add(DUAL, netns=lab.netns("new"))
    assert all(answers(lab, a) for a in addresses(again))
    cni.delete(DUAL, netns="/var/run/netns/new")
    assert lab.left() == {}


def test_a_pool_full_of_the_dead_has_room(lab: Lab, cni: Caller) -> None:
    for name in ("c1", "c2"):
        cni.add(SMALL, name, lab.netns(name))
    error = cni("ADD", SMALL, "c3", lab.netns("c3")).refused(101)
    assert "calico-rkt gc" in error["details"]
    lab.out("ip", "netns", "del", "c1")
    assert addresses(cni.add(SMALL, "c3", "/var/run/netns/c3")) == ["10.1.0.1"]
    assert answers(lab, "10.1.0.1")
    assert answers(lab, "10.1.0.2"), "the living keeps its own"
    for name in ("c2", "c3"):
        cni.delete(SMALL, name, f"/var/run/netns/{name}")
    assert lab.left() == {}


@pytest.mark.parametrize("other", ["web", "neighbour"])
def test_an_address_that_is_asked_for_and_a_dead_one_holds_is_given(lab: Lab, cni: Caller, other: str) -> None:
    asked = {"CNI_ARGS": "IP=10.1.0.9"}
    cni.add({**WEB, "name": other}, "c1", lab.netns("c1"), **asked)
    error = cni("ADD", WEB, "c2", lab.netns("c2"), **asked).refused(102)
    assert "calico-rkt gc" in error["details"]
    lab.out("ip", "netns", "del", "c1")
    assert addresses(cni.add(WEB, "c2", "/var/run/netns/c2", **asked)) == ["10.1.0.9"]
    cni.delete(WEB, "c2", "/var/run/netns/c2")
    assert lab.left() == {}


def test_a_static_address_of_delegated_ipam_that_a_dead_one_holds_is_given(lab: Lab, cni: Caller) -> None:
    fixed = conf("fixed", {"type": "static", "addresses": [{"address": "10.5.0.7/24"}]})
    cni.add(fixed, "c1", lab.netns("c1"))
    cni("ADD", fixed, "c2", lab.netns("c2")).refused(102)
    lab.out("ip", "netns", "del", "c1")
    assert addresses(cni.add(fixed, "c2", "/var/run/netns/c2")) == ["10.5.0.7"]
    cni.delete(fixed, "c2", "/var/run/netns/c2")
    assert lab.left() == {}


def test_a_host_end_that_somebody_renamed_is_no_sign_of_death_and_del_finds_it(lab: Lab, cni: Caller) -> None:
    netns = lab.netns("c1")
    cni.add(WEB, netns=netns)
    (name,) = (n for n in lab.links() if n.startswith("crk"))
    lab.out("ip", "link", "set", name, "down")
    lab.out("ip", "link", "set", name, "name", "renamed0")
    assert gc(lab).stdout == b""
    cni.delete(WEB, netns=netns)
    assert "renamed0" not in lab.links()
    assert lab.left() == {}


def test_an_ipam_plugin_s_gc_hears_of_what_lives_though_it_is_not_listed(lab: Lab, cni: Caller) -> None:
    """Its addresses are in use, whatever one of several runtimes lists."""
    told = "/run/told"
    static = f"{PLUGINS}/static"
    lab.write(f"{PLUGINS}/recorder", f"#!/bin/sh\n[ $CNI_COMMAND = GC ] && exec cat >{told}\nexec {static}\n")
    lab.path(PLUGINS, "recorder").chmod(0o755)
    fixed = conf("fixed", {"type": "recorder", "addresses": [{"address": "10.5.0.7/24"}]}, cni="1.0.0")
    cni.add(fixed, "c1", lab.netns("c1"))
    listed = [{"containerID": "c0", "ifname": "eth0"}]
    cni("GC", {**fixed, "cniVersion": "1.1.0", "cni.dev/valid-attachments": listed}).succeeded()
    given = json.loads(lab.path(told).read_text())
    both = [{"containerID": c, "ifname": "eth0"} for c in ("c0", "c1")]
    assert given["cni.dev/valid-attachments"] == given["cni.dev/attachments"] == both
    cni.delete(fixed, "c1", "/var/run/netns/c1")


@pytest.mark.parametrize("broken", ["all", {}, [{"containerID": "c1"}], [1], [{"containerID": 1, "ifname": "eth0"}], 0])
def test_a_list_of_attachments_that_is_none_is_refused(bare_lab: Lab, broken: object) -> None:
    Caller(bare_lab)("GC", {**WEB, "cni.dev/valid-attachments": broken}).refused(7)
