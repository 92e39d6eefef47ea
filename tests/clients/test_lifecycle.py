"""calico-rkt's commands on one host: what apply, status, prune, gc, restore and install do to a live network."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import PLUGINS, PUBLISHED, Lab, conf, environment, until

WEB = conf("web", {"type": "host-local", "subnet": "10.61.0.0/24"})
OPEN = """network: web
ingress:
  - action: Allow
    protocol: TCP
    destination: {ports: [8080]}
  - default
"""


class Host(Caller):
    """A caller that also serves from the containers it attaches."""

    servers: list[subprocess.Popen[bytes]]


@pytest.fixture
def cni(lab: Lab, servers: list[subprocess.Popen[bytes]]) -> Host:
    lab.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    host = Host(lab)
    host.servers = servers
    return host


def tool(lab: Lab, *argv: str) -> subprocess.CompletedProcess[bytes]:
    done = lab.run(f"{PLUGINS}/calico", *argv, env=environment())
    assert b"Traceback" not in done.stdout + done.stderr, done
    return done


def states(lab: Lab) -> dict[str, str]:
    return {n["network"]: n["state"] for n in json.loads(tool(lab, "status", "--format", "json").stdout)["networks"]}


def attached(lab: Lab, cni: Host, name: str) -> str:
    """A container of network web with a server on port 8080; its address."""
    netns = lab.netns(name)
    address = addresses(cni.add(WEB, name, netns))[0]
    httpd = ("/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/run/lab/rootfs/www")
    cni.servers.append(lab.start("ip", "netns", "exec", name, *httpd))
    until(lambda: lab.fetch(address, 8080), "the server of the container answers its host")
    return address


def test_apply_changes_a_live_network_and_nothing_before_it(lab: Lab, cni: Host) -> None:
    address = attached(lab, cni, "a")
    assert not lab.fetch(address, 8080, "outside", wait=1)
    lab.override("web", OPEN)
    assert states(lab) == {"web": "stale"}
    dry = tool(lab, "apply", "--dry-run")
    assert (dry.returncode, b"+" in dry.stdout) == (1, True)
    assert "newly allowed:\n  outside -> web: TCP port 8080\n" in dry.stdout.decode()
    assert b"now      allowed: ingress of web: /etc/calico-rkt/profiles/web.yaml:3 Allow TCP to port 8080" in dry.stdout
    assert not lab.fetch(address, 8080, "outside", wait=1)
    assert tool(lab, "apply", "--yes").returncode == 0
    assert lab.fetch(address, 8080, "outside")
    assert states(lab) == {"web": "in step"}
    assert tool(lab, "apply", "--yes").stdout.endswith(b"\n1 network, nothing to change\n")


def test_apply_runs_the_tests_first(lab: Lab, cni: Host) -> None:
    address = attached(lab, cni, "a")
    denied = "tests:\n  - {name: closed, from: {outside: true}, to: {network: web}, verdict: Deny}\n"
    lab.override("web", OPEN + denied)
    done = tool(lab, "apply", "--yes")
    assert done.returncode == 1
    assert b"CR810 error: test 'closed' does not hold" in done.stdout
    assert b"nothing was changed" in done.stderr
    assert not lab.fetch(address, 8080, "outside", wait=1)
    assert states(lab) == {"web": "stale"}
    assert tool(lab, "apply", "--yes", "--no-tests").returncode == 0
    assert lab.fetch(address, 8080, "outside")


def test_apply_without_a_terminal_asks_for_yes_and_changes_nothing(lab: Lab, cni: Host) -> None:
    attached(lab, cni, "a")
    lab.override("web", OPEN)
    done = tool(lab, "apply")
    assert done.returncode == 2
    assert b"--yes does not ask" in done.stderr
    assert states(lab) == {"web": "stale"}


@pytest.mark.parametrize("lab", ["alone"], indirect=True)
def test_a_network_that_is_named_twice_is_applied_once(lab: Lab, cni: Host) -> None:
    attached(lab, cni, "a")
    lab.override("web", OPEN)
    done = tool(lab, "apply", "--yes", "web", "web")
    assert (done.returncode, done.stdout.count(b"+++ what the files say")) == (0, 1)
    assert b"\napplied: web\n" in done.stdout
    assert b"\n1 network, nothing to change\n" in tool(lab, "apply", "--yes", "web", "web").stdout


def test_prune_without_a_terminal_names_what_it_would_delete_and_deletes_nothing(lab: Lab, cni: Host) -> None:
    attached(lab, cni, "a")
    cni.delete(WEB, "a", "/var/run/netns/a")
    done = tool(lab, "prune")
    assert done.returncode == 2
    assert done.stdout == b"would delete profile web\n"
    assert b"--yes does not ask" in done.stderr
    assert lab.path(PUBLISHED, "web.yaml").exists()


def test_an_edited_profile_is_used_for_nothing_until_it_is_taken_over(lab: Lab, cni: Host) -> None:
    address = attached(lab, cni, "a")
    profile = lab.path(PUBLISHED, "web.yaml")
    profile.write_text(profile.read_text().replace("ingress:", "ingress:\n  - action: Allow\n", 1))
    assert states(lab) == {"web": "edited"}
    assert tool(lab, "apply", "--yes").returncode == 1
    assert tool(lab, "restore").returncode == 1
    assert not lab.fetch(address, 8080, "outside", wait=1)
    assert tool(lab, "apply", "--yes", "--take-over").returncode == 0
    assert lab.fetch(address, 8080)
    attached(lab, cni, "b")
    assert lab.run("ping", "-c", "1", "-W", "2", "10.61.0.2", inside="a").returncode == 0
    assert tool(lab, "restore").returncode == 0
    assert states(lab) == {"web": "in step"}


@pytest.mark.parametrize("lab", ["alone"], indirect=True)  # an agent restores by itself
def test_an_edited_profile_s_network_is_closed_by_a_restore_and_not_before(lab: Lab, cni: Host) -> None:
    lab.override("web", OPEN)
    address = attached(lab, cni, "a")
    profile = lab.path(PUBLISHED, "web.yaml")
    profile.write_text(profile.read_text().replace("8080", "8081"))
    for stands, open_until_then in (
        ("keeps the rules that are in force until a restore closes it", True),
        ("is closed", False),
    ):
        assert lab.fetch(address, 8080, "outside", wait=30 if open_until_then else 1) is open_until_then
        said = tool(lab, "status").stdout.decode()
        told = [line for line in said.splitlines() if line.startswith("differs: ")]
        assert told == [f"differs: network web {stands}: its published profile is missing or unfit"]
        assert "an unfit profile; a restore does not" in said
        assert "restore puts right" not in said
        assert tool(lab, "restore").returncode == 1


@pytest.mark.parametrize("lab", ["alone"], indirect=True)  # an agent restores by itself, at once
def test_restore_rebuilds_what_a_flush_took(lab: Lab, cni: Host) -> None:
    lab.override("web", OPEN)
    address = attached(lab, cni, "a")
    before = lab.out("nft", "list", "table", "inet", "calico_rkt")
    lab.out("nft", "flush", "ruleset")
    assert tool(lab, "status").returncode == 1
    assert tool(lab, "restore").returncode == 0
    assert lab.out("nft", "list", "table", "inet", "calico_rkt") == before
    assert lab.fetch(address, 8080, "outside")


def test_an_add_after_a_flush_rebuilds_everybodys_policy(lab: Lab, cni: Host) -> None:
    lab.override("web", OPEN)
    address = attached(lab, cni, "a")
    lab.out("nft", "flush", "ruleset")
    attached(lab, cni, "b")
    assert lab.fetch(address, 8080, "outside")
    assert tool(lab, "status").returncode == 0


def test_prune_deletes_only_profiles_without_endpoints(lab: Lab, cni: Host) -> None:
    attached(lab, cni, "a")
    assert tool(lab, "prune", "--yes").stdout == b""
    cni.delete(WEB, "a", "/var/run/netns/a")
    assert tool(lab, "prune", "--dry-run").stdout == b"would delete profile web\n"
    assert tool(lab, "prune", "--yes").stdout == b"deleted profile web\n"
    assert states(lab) == {"web": "not published"}


def test_gc_frees_an_endpoint_whose_netns_is_gone_and_keeps_the_living(lab: Lab, cni: Host) -> None:
    attached(lab, cni, "a")
    cni.add(WEB, "b", lab.netns("b"))
    lab.out("ip", "netns", "del", "b")
    assert tool(lab, "gc").stdout == b"freed web b eth0: 10.61.0.2\n"
    cni.delete(WEB, "a", "/var/run/netns/a")
    assert lab.left() == {}


def test_a_host_whose_other_table_drops_forwarded_packets_is_recognised(lab: Lab, cni: Host) -> None:
    lab.override("web", OPEN)
    address = attached(lab, cni, "a")
    lab.out("iptables", "-P", "FORWARD", "DROP")
    assert not lab.fetch(address, 8080, "outside", wait=1)
    done = tool(lab, "status")
    assert done.returncode == 1
    mend = [line for line in done.stdout.decode().splitlines() if line.startswith("blocked: ")]
    assert mend
    assert "iptables" in mend[0]


def test_install_puts_the_binary_where_it_is_told(lab: Lab) -> None:
    assert tool(lab, "install", "--to", "/run/plugins").stdout == b"installed /run/plugins/calico\n"
    assert lab.path("/run/plugins/calico").read_bytes() == lab.path(PLUGINS, "calico").read_bytes()
    assert lab.path("/run/plugins/calico").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "argv", [["nonsense"], ["apply", "--confs", "/nowhere"], ["apply", "nobody"], ["status", "--format", "xml"], []]
)
def test_bad_usage_gives_2_and_words(lab: Lab, argv: list[str]) -> None:
    done = lab.run(f"{PLUGINS}/calico", *argv, env=environment())
    assert done.returncode == 2
    assert done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.usefixtures("cni")
def test_apply_refuses_a_rule_about_a_network_that_nobody_has_here(lab: Lab) -> None:
    lab.override("web", OPEN.replace("protocol: TCP", "protocol: TCP\n    source: {network: wbe}"))
    done = tool(lab, "apply", "--yes")
    assert done.returncode == 2
    assert b"wbe" in done.stderr
    assert b"web.yaml:" in done.stderr
    assert states(lab) == {"web": "unusable"}


def test_a_half_done_apply_is_completed_by_the_next_add(lab: Lab, cni: Host) -> None:
    address = attached(lab, cni, "a")
    lab.override("web", OPEN)
    cut = (
        "from calico_rkt.plugin.publish.local import Local as L;"
        "from calico_rkt.plugin.store.local import open_local as o;"
        "from calico_rkt.plugin.publish.host_confs import confs_there as h;"
        "s = o(); c = L(s, h().known).plan()[0]; s.stage({c.new.network_id: c.new.text})"
    )
    env = environment({"PYTHONPATH": f"{PLUGINS}/calico"})
    done = lab.run("/usr/bin/python3", "-c", cut, env=env)
    assert done.returncode == 0, done
    lab.out("nft", "flush", "ruleset")
    attached(lab, cni, "b")
    assert lab.fetch(address, 8080, "outside")
    assert states(lab) == {"web": "in step"}
