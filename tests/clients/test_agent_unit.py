"""The agent's systemd units: sound by systemd's own words, and no tighter than what the agent really does.

PID 1 is no systemd here, so what the units say is done by hand: setpriv takes the capabilities away, and strace says
which system calls, address families, namespaces and mappings the filters would have met.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import PLUGINS, Lab, conf, environment, pool, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

PACKAGING = Path(__file__).parents[2] / "packaging" / "share"
SERVICE, RESTORE = PACKAGING / "calico-rkt-agent.service", PACKAGING / "calico-rkt-restore.service"
UNITS = (
    SERVICE,
    PACKAGING / "calico-rkt-agent.socket",
    RESTORE,
    *PACKAGING.glob("calico-rkt-attest.*"),
)
INSTALLED = "/usr/lib/cni/calico"
WEB = conf("web", pool("10.1.0.0/24", "fd00:1::/64"), cni="1.1.0")
TRACE = "/run/lab/trace"
MOUNTING = (
    "ProtectSystem",
    "ProtectHome",
    "PrivateTmp",
    "PrivateDevices",
    "PrivateMounts",
    "ProtectKernelTunables",
    "ProtectKernelModules",
    "ProtectKernelLogs",
    "ProtectControlGroups",
    "ProtectProc",
    "ProtectHostname",
    "PrivateNetwork",
    "PrivateUsers",
    "RootDirectory",
    "ReadOnlyPaths",
    "ReadWritePaths",
    "InaccessiblePaths",
    "BindPaths",
    "BindReadOnlyPaths",
    "TemporaryFileSystem",
    "MountFlags",
    "DynamicUser",
    "StateDirectory",
    "LogsDirectory",
)
"""Directives that give a service namespaces or folders of its own , as systemd.exec(5) has them."""


def settings() -> dict[str, str]:
    lines = (line for line in SERVICE.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def allowed() -> set[str]:
    """Every system call of the unit's filter, its sets read as systemd-analyze prints them."""
    found: set[str] = set()
    wanted = settings()["SystemCallFilter"].split()
    while wanted:
        name = wanted.pop()
        if not name.startswith("@"):
            found.add(name)
            continue
        said = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
        wanted += [line.strip() for line in said.stdout.splitlines()[1:] if line.strip() and "#" not in line]
    return found


@pytest.fixture
def lab(bare_lab: Lab) -> Lab:
    return bare_lab


def test_systemd_finds_nothing_wrong_with_the_units(lab: Lab) -> None:
    for unit in UNITS:
        lab.write(f"/run/lab/units/{unit.name}", unit.read_text().replace(INSTALLED, f"{PLUGINS}/calico"))
    done = lab.run(
        "systemd-analyze", "verify", "--man=no", *(f"/run/lab/units/{u.name}" for u in UNITS), env=environment()
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_restore_that_names_something_is_there_for_the_next_reload_of_a_firewall() -> None:
    """To systemd a unit that has failed is not active, and it hands a reload on to active units alone."""
    unit = RESTORE.read_text().splitlines()
    assert {"RemainAfterExit=yes", "ReloadPropagatedFrom=nftables.service"} <= set(unit)
    assert f"ExecStart=-{INSTALLED} restore --if-needed" in unit
    assert f"ExecReload={INSTALLED} restore --if-needed" in unit, "this one is told as failed, and stays active"


def test_no_directive_takes_the_agent_out_of_the_hosts_namespaces() -> None:
    assert not set(settings()) & set(MOUNTING)


def test_what_the_unit_starts_does_every_verb_within_what_the_unit_leaves_it(lab: Lab, cni: Caller) -> None:
    unit = settings()
    program, *arguments = unit["ExecStart"].split()
    assert (program, arguments) == (INSTALLED, ["agent"])
    kept = ",".join("+" + c.removeprefix("CAP_").lower() for c in unit["CapabilityBoundingSet"].split())
    limits = ("--no-new-privs", f"--bounding-set=-all,{kept}", "--inh-caps=-all")
    agent = Agent(
        lab, binary=f"{PLUGINS}/calico", before=("strace", "-f", "-qq", "-o", TRACE, "setpriv", *limits)
    ).start()
    netns = lab.netns("c1")
    lab.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    cni.add(WEB, "c1", netns)
    cni("CHECK", WEB, "c1", netns).succeeded()
    cni("STATUS", WEB).succeeded()
    lab.out("nft", "flush", "ruleset")
    until(lambda: agent.counted("restores_total") == 1, "it builds the table anew")
    assert agent.counted("profiles") == 1, "it can start `status`"
    cni("GC", {**WEB, "cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}]}).succeeded()
    cni.delete(WEB, "c1", netns)
    assert agent.counted("requests_total") == 5
    assert agent.counted("declined_total") == 0
    agent.kill(signal.SIGTERM)
    calls = lab.path(TRACE).read_text()
    within_the_filters(calls, unit)


BACK = conf("back", pool("10.2.0.0/24"), cni="1.1.0")


def unseeing(lab: Lab) -> Agent:
    """An agent with the capabilities that the unit leaves it: it may look at no path of /proc/PID/ns."""
    kept = ",".join("+" + c.removeprefix("CAP_").lower() for c in settings()["CapabilityBoundingSet"].split())
    setpriv = ("setpriv", "--no-new-privs", f"--bounding-set=-all,{kept}", "--inh-caps=-all")
    before = ("strace", "-f", "-qq", "-e", "trace=clock_nanosleep", "-o", TRACE, *setpriv)
    return Agent(lab, binary=f"{PLUGINS}/calico", before=before).start()


def naps(lab: Lab) -> int:
    return lab.path(TRACE).read_text().count("clock_nanosleep(")


def by_process(lab: Lab, name: str) -> str:
    """The path of a process in a namespace that has a name of its own, too."""
    lab.netns(name)
    lab.start("ip", "netns", "exec", name, "sleep", "1000")
    until(lambda: lab.run("pgrep", "-x", "sleep").returncode == 0, "there is a process in a namespace of its own")
    return f"/proc/{lab.out('pgrep', '-x', 'sleep').strip()}/ns/net"


def test_a_del_by_a_path_that_the_agent_may_not_look_at_leaves_nothing_in_a_container(lab: Lab, cni: Caller) -> None:
    agent, netns = unseeing(lab), by_process(lab, "c1")
    cni.add(WEB, "c1", netns)
    before = lab.out("ip", "rule", inside="c1")
    cni.add(BACK, "c1", netns, "eth1")
    assert lab.out("ip", "rule", inside="c1") != before
    cni.delete(BACK, "c1", netns, "eth1")
    assert lab.out("ip", "rule", inside="c1") == before
    assert agent.counted("declined_total") == 0


def test_a_del_by_such_a_path_detaches_what_was_attached_by_another(lab: Lab, cni: Caller) -> None:
    agent, netns = unseeing(lab), by_process(lab, "c1")
    cni.add(WEB, "c1", "/run/netns/c1")
    cni.delete(WEB, "c1", netns)
    assert not lab.left().get("links")
    assert agent.counted("declined_total") == 0


def test_a_gc_by_the_agent_waits_for_no_container_that_it_may_not_look_at(lab: Lab, cni: Caller) -> None:
    unseeing(lab)
    cni.add(WEB, "c1", by_process(lab, "c1"))
    slept = naps(lab)
    cni("GC", {**WEB, "cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}]}).succeeded()
    assert naps(lab) - slept < 10, "a namespace that dies is waited for"


def test_what_the_unit_keeps_the_agent_from_seeing_is_not_taken_for_gone(lab: Lab, cni: Caller) -> None:
    """A path of /proc, as nerdctl and `attach PID` give it, and a host end that somebody has moved away."""
    kept = ",".join("+" + c.removeprefix("CAP_").lower() for c in settings()["CapabilityBoundingSet"].split())
    before = ("setpriv", "--no-new-privs", f"--bounding-set=-all,{kept}", "--inh-caps=-all")
    agent = Agent(lab, binary=f"{PLUGINS}/calico", before=before).start()
    lab.start("unshare", "-n", "sleep", "1000")
    until(lambda: lab.run("pgrep", "-x", "sleep").returncode == 0, "there is a process in a namespace of its own")
    netns = f"/proc/{lab.out('pgrep', '-x', 'sleep').strip()}/ns/net"
    end = cni.add(WEB, "c1", netns)["interfaces"][0]["name"]
    lab.netns("away")
    lab.out("ip", "link", "set", end, "netns", "away")
    cni("GC", {**WEB, "cni.dev/valid-attachments": []}).succeeded()
    assert addresses(cni.add(WEB, "c2", lab.netns("c2")))[0] != "10.1.0.1"
    assert "10.1.0.1" in lab.out(f"{PLUGINS}/calico", "ls", "c1")
    lab.out("pkill", "-x", "sleep")
    until(lambda: not lab.path(netns).exists(), "the process is gone")
    cni("GC", {**WEB, "cni.dev/valid-attachments": [{"containerID": "c2", "ifname": "eth0"}]}).succeeded()
    assert "c1" not in lab.out(f"{PLUGINS}/calico", "ls")
    assert agent.counted("declined_total") == 0
    cni.delete(WEB, "c2", "/var/run/netns/c2")


def within_the_filters(calls: str, unit: dict[str, str]) -> None:
    names = set(re.findall(r"^\d+ +(\w+)\(", calls, re.MULTILINE))
    assert {"setns", "sendto", "recvfrom", "accept4"} <= names, "or strace has seen nothing"
    assert names - allowed() == set()
    families = set(re.findall(r"socket\((AF_\w+)", calls))
    assert "AF_NETLINK" in families
    assert families <= set(unit["RestrictAddressFamilies"].split())
    assert set(re.findall(r"setns\(\d+(?:<[^>]*>)?, (\w+)\)", calls)) == {"CLONE_NEWNET"}
    assert unit["RestrictNamespaces"] == "net"
    assert not re.findall(r"CLONE_NEW(?!NET)\w+", calls)
    assert not [line for line in calls.splitlines() if "PROT_WRITE" in line and "PROT_EXEC" in line]
