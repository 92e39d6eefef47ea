"""`calico-rkt attach` and `detach`: a namespace whose runtime knows no CNI, and all plugins of a network's conf."""

from __future__ import annotations

import json
import subprocess

import pytest
from jsonschema import Draft202012Validator

from calico_rkt.compiler.cli.formats.json_schema import answers
from tests import state_log
from tests.clients.support.attaching import CALICO, network
from tests.clients.support.lab import HOST_V4, STATE, Lab, conf, environment, pool, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}
OVERRIDE = """network: web
ingress:
  - action: Allow
    protocol: TCP
    source: {notSelector: all()}
    destination: {ports: [8080]}
  - default
"""
NOTES = """#!/bin/sh
echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME ${CNI_NETNS:-gone}" >>/run/lab/calls
cat >/run/lab/stdin.$CNI_COMMAND
[ "$CNI_COMMAND" = ADD ] || exit 0
while [ -e /run/lab/waits ]; do sleep 0.1; done
[ ! -e /run/lab/fails ] || { echo '{"cniVersion": "1.0.0", "code": 123, "msg": "no"}'; exit 1; }
python3 -c 'import json; print(json.dumps(json.load(open("/run/lab/stdin.ADD"))["prevResult"]))'
"""
"""A plugin that notes its calls, gives on what it was given, and fails when it is told to."""


@pytest.fixture
def host(lab: Lab) -> Lab:
    """Two networks, of which web publishes ports; a namespace c1."""
    lab.override("web", OVERRIDE)
    network(lab, conf("web", pool("10.1.0.0/24")), PORTMAP)
    network(lab, conf("back", pool("10.2.0.0/24")))
    lab.netns("c1")
    return lab


def run(lab: Lab, *argv: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    return lab.run(CALICO, *argv, env=environment(more))


def said(done: subprocess.CompletedProcess[bytes], status: int = 0) -> str:
    """Its words, after a check of its status and that nothing of Python's is among them."""
    words = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == status, words
    assert "Traceback" not in words
    assert not status or not done.stdout, words
    return words


def attached(lab: Lab, *argv: str) -> str:
    """The first address of an attach that has to succeed."""
    loaded = json.loads(said(run(lab, "attach", *argv, "--format", "json")))
    Draft202012Validator(answers()).validate(loaded)
    return str(loaded["result"]["ips"][0]["address"].partition("/")[0])


def serve(lab: Lab, inside: str) -> None:
    for port in ("8080", "9090"):
        lab.out("/bin/busybox", "httpd", "-p", port, "-h", "/run/lab/rootfs/www", inside=inside)


def test_an_attached_namespace_has_policy_and_published_ports_and_leaves_nothing(host: Lab) -> None:
    assert said(run(host, "attach", "web", "c1", "--port", "8001:8080", "--port", "8002:9090/tcp")) == (
        "attached web/netns-c1/eth0: 10.1.0.1\npublished 8001:8080/tcp\npublished 8002:9090/tcp\n"
    )
    serve(host, "c1")
    host.netns("c2")
    attached(host, "back", "c2")
    until(lambda: host.fetch("10.1.0.1", 9090), "the host reaches its containers")
    assert host.fetch(HOST_V4, 8001, inside="outside", wait=30), "published, and let in by the override"
    assert not host.fetch(HOST_V4, 8002, inside="outside", wait=1), "published, but not let in"
    assert not host.fetch("10.1.0.1", 9090, inside="c2", wait=1), "another network"
    assert host.out("ip", "-br", "link", "show", "lo", inside="c1").split()[1] == "UNKNOWN", "lo is up"

    assert said(run(host, "detach", "web", "c1")) == "detached web/netns-c1/eth0\n"
    said(run(host, "detach", "back", "c2"))
    assert host.links(inside="c1") == {"lo"}
    assert "10.1.0.1" not in host.out("iptables-save")
    assert host.left() == {}
    assert list(host.path("/run/calico-rkt/attached").iterdir()) == []


def test_a_second_time_says_so_and_changes_nothing(host: Lab) -> None:
    first = attached(host, "web", "c1", "--port", "8001:8080")
    for netns in ("c1", "/var/run/netns/c1", "/run/netns/c1"):
        again = said(run(host, "attach", "web", netns, "--port", "8001:8080"))
        assert again.splitlines()[0] == f"web/netns-c1/eth0 is attached already: {first}"
    assert "with other addresses, MAC or ports" in said(run(host, "attach", "web", "c1"), 2)
    host.netns("c2")
    assert "wed/netns-c2/eth0 is not attached; to wed: none; did you mean web?" in said(
        run(host, "detach", "wed", "c2"), 1
    )
    assert "another network namespace that lives" in said(run(host, "attach", "web", "c2", "--id", "netns-c1"), 2)
    assert host.out("iptables-save").count("--to-destination 10.1.0.1:8080") == 1
    said(run(host, "detach", "web", "c1"))
    assert "web/netns-c1/eth0 is not attached; to web: none" in said(run(host, "detach", "web", "c1"), 1)
    assert host.left() == {}


def test_two_networks_and_what_was_asked_for_are_had_by_each_interface(host: Lab) -> None:
    assert attached(host, "web", "c1", "--ip", "10.1.0.77", "--mac", "02:00:00:00:00:77") == "10.1.0.77"
    assert attached(host, "back", "c1", "--ifname", "eth1") == "10.2.0.1"
    assert "02:00:00:00:00:77" in host.out("ip", "link", "show", "eth0", inside="c1")
    said(run(host, "detach", "web", "c1"))
    assert host.links(inside="c1") == {"lo", "eth1"}
    said(run(host, "detach", "back", "--id", "netns-c1", "--ifname", "eth1"))
    assert host.left() == {}


def test_a_namespace_may_be_named_by_a_process_in_it(host: Lab) -> None:
    process = host.start("ip", "netns", "exec", "c1", "sleep", "1000")
    (pid,) = until_pids(host, "c1")
    assert said(run(host, "attach", "web", pid)) == f"attached web/pid-{pid}/eth0: 10.1.0.1\n"
    host.out("kill", pid)
    process.wait()
    host.out("ip", "netns", "del", "c1")
    assert said(run(host, "detach", "web", pid)) == f"detached web/pid-{pid}/eth0\n"
    assert host.left() == {}


def until_pids(lab: Lab, netns: str) -> list[str]:
    until(lambda: bool(lab.out("ip", "netns", "pids", netns).split()), "a process is there")
    return lab.out("ip", "netns", "pids", netns).split()


def test_a_chain_that_fails_leaves_nothing_and_its_plugins_hear_what_libcni_tells_them(host: Lab) -> None:
    host.write("/opt/cni/bin/notes", NOTES)
    host.path("/opt/cni/bin/notes").chmod(0o755)
    network(host, conf("web", pool("10.1.0.0/24")), {"type": "notes", "capabilities": {"ips": True}, "own": 1}, PORTMAP)
    host.write("/run/lab/fails", "")
    assert "plugin 'notes': no" in said(run(host, "attach", "web", "c1", "--port", "8001:8080"), 2)
    assert (
        host.path("/run/lab/calls").read_text() == "ADD netns-c1 eth0 /run/netns/c1\nDEL netns-c1 eth0 /run/netns/c1\n"
    )
    assert host.left() == {}
    assert host.links(inside="c1") == {"lo"}
    assert list(host.path("/run/calico-rkt/attached").iterdir()) == []

    host.path("/run/lab/fails").unlink()
    assert attached(host, "web", "c1", "--ip", "10.1.0.9") == "10.1.0.9"
    told = json.loads(host.path("/run/lab/stdin.ADD").read_text())
    assert (told["name"], told["cniVersion"], told["own"]) == ("web", "1.0.0", 1)
    assert told["runtimeConfig"] == {"ips": ["10.1.0.9"]}
    assert told["prevResult"]["ips"][0]["address"] == "10.1.0.9/32"
    host.path("/etc/cni/net.d/10-web.conflist").unlink()
    host.out("ip", "netns", "del", "c1")
    said(run(host, "detach", "web", "c1"))
    assert json.loads(host.path("/run/lab/stdin.DEL").read_text()) == told
    assert host.path("/run/lab/calls").read_text().splitlines()[-1] == "DEL netns-c1 eth0 gone"
    assert host.left() == {}


def test_a_new_namespace_of_the_same_name_takes_the_place_of_one_that_is_gone(host: Lab) -> None:
    first = attached(host, "web", "c1", "--port", "8001:8080")
    host.out("ip", "netns", "del", "c1")
    host.netns("c1")
    second = attached(host, "web", "c1", "--port", "8001:9090")
    assert first != second
    rules = host.out("iptables-save")
    assert f"{second}:9090" in rules
    assert first not in rules
    said(run(host, "detach", "web", "c1"))
    assert host.left() == {}


def test_gc_ends_what_was_attached_with_its_ports_too(host: Lab) -> None:
    address = attached(host, "web", "c1", "--port", "8001:8080")
    assert f"{address}:8080" in host.out("iptables-save")
    assert run(host, "gc").stdout == b"", "it lives"
    host.out("ip", "netns", "del", "c1")
    assert b"would free web netns-c1 eth0" in run(host, "gc", "--dry-run").stdout
    assert f"{address}:8080" in host.out("iptables-save")
    assert b"freed web netns-c1 eth0" in run(host, "gc").stdout
    assert address not in host.out("iptables-save")
    assert host.left() == {}
    assert list(host.path("/run/calico-rkt/attached").iterdir()) == []


def test_a_port_that_a_living_container_has_is_refused_to_others(host: Lab) -> None:
    """portmap takes both, and the first one's rule wins until it goes: the second is told of a port it has not."""
    first = attached(host, "web", "c1", "--port", "127.0.0.1:8001:8080", "--port", "8002:8080/udp")
    host.netns("c2")
    refused = said(run(host, "attach", "web", "c2", "--port", "8001:9090"), 2)
    assert "port 8001/tcp of this host is published already, by web/netns-c1/eth0" in refused
    assert "calico-rkt detach web --id netns-c1" in refused
    assert host.links(inside="c2") == {"lo"}
    second = attached(host, "web", "c2", "--port", "127.0.0.2:8001:9090", "--port", "8002:9090/tcp")
    rules = host.out("iptables-save")
    assert f"{first}:8080" in rules
    assert f"{second}:9090" in rules
    said(run(host, "detach", "web", "c1"))
    host.netns("c3")
    attached(host, "web", "c3", "--port", "127.0.0.1:8001:8080", "--port", "8002:8080/udp")
    for name in ("c2", "c3"):
        said(run(host, "detach", "web", name))
    assert host.left() == {}


def test_a_list_of_several_versions_is_attached_in_the_highest_and_known_again(host: Lab) -> None:
    listed = {"cniVersions": ["0.4.0", "1.1.0", "2.0.0"], "name": "late"}
    plugins = [{"type": "calico", "ipam": pool("10.7.0.0/24")}]
    host.write("/etc/cni/net.d/10-late.conflist", json.dumps(listed | {"plugins": plugins}))
    for before in (False, True):
        loaded = json.loads(said(run(host, "attach", "late", "c1", "--format", "json")))
        assert (loaded["result"]["cniVersion"], loaded["before"]) == ("1.1.0", before), loaded


def test_two_containers_without_a_family_in_common_may_have_one_port(host: Lab) -> None:
    network(host, conf("six", pool("fd00:6::/64")), PORTMAP)
    host.netns("c2")
    first, second = (
        attached(host, "web", "c1", "--port", "8001:8080"),
        attached(host, "six", "c2", "--port", "8001:9090"),
    )
    assert f"{first}:8080" in host.out("iptables-save")
    assert f"[{second}]:9090" in host.out("ip6tables-save")
    host.netns("c3")
    for name in ("web", "six"):
        assert "port 8001/tcp of this host is published already" in said(
            run(host, "attach", name, "c3", "--port", "8001:80"), 2
        )


def test_of_one_container_the_port_that_stands_first_has_its_packets(host: Lab) -> None:
    """portmap's rules are in the order of the ports: one at an address has to stand before one at all."""
    ports = "--port", "127.0.0.1:8001:9090", "--port", "8001:8080"
    assert "all its packets go to 8001:8080/tcp" in said(run(host, "attach", "web", "c1", *ports[2:], *ports[:2]), 2)
    attached(host, "web", "c1", *ports)
    rules = [line for line in host.out("iptables-save").splitlines() if "-j DNAT" in line and "8001" in line]
    assert ["-d 127.0.0.1/32" in line for line in rules] == [True, False], rules


def test_a_port_of_a_container_that_is_gone_is_freed_for_the_next(host: Lab) -> None:
    gone = attached(host, "web", "c1", "--port", "8001:8080", "--port", "8003:8080")
    host.netns("c2")
    host.out("ip", "netns", "del", "c1")
    address = attached(host, "web", "c2", "--port", "8001:9090")
    rules = host.out("iptables-save")
    assert f"{address}:9090" in rules
    assert gone not in rules
    said(run(host, "detach", "web", "c2"))
    assert host.left() == {}
    assert list(host.path("/run/calico-rkt/attached").iterdir()) == []


def test_of_many_that_want_one_port_at_once_one_gets_it(host: Lab) -> None:
    names = [f"d{n}" for n in range(4)]
    for name in names:
        host.netns(name)
    started = [host.start(CALICO, "attach", "web", name, "--port", "8001:8080", env=environment()) for name in names]
    assert sorted(one.wait() for one in started) == [0, 2, 2, 2]
    assert host.out("iptables-save").count("--dport 8001 -j DNAT") == 1


def test_a_container_that_a_runtime_attached_is_left_to_it(host: Lab) -> None:
    single = conf("back", pool("10.2.0.0/24"))
    env = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c9", "CNI_NETNS": "/run/netns/c1", "CNI_IFNAME": "eth0"}
    assert host.run(CALICO, stdin=json.dumps(single).encode(), env=environment(env)).returncode == 0
    assert "by a runtime" in said(run(host, "attach", "back", "c1", "--id", "c9"), 2)
    assert "by a runtime" in said(run(host, "detach", "back", "--id", "c9"), 2)
    assert host.links(inside="c1") == {"lo", "eth0"}


@pytest.mark.parametrize("signal", ["TERM", "INT", "KILL"])
def test_an_attach_that_is_ended_half_way_leaves_nothing_or_what_detach_takes_away(host: Lab, signal: str) -> None:
    host.write("/opt/cni/bin/notes", NOTES)
    host.path("/opt/cni/bin/notes").chmod(0o755)
    network(host, conf("web", pool("10.1.0.0/24")), {"type": "notes"}, PORTMAP)
    waits, calls = host.path("/run/lab/waits"), host.path("/run/lab/calls")
    waits.touch()
    started = host.start("sh", "-c", f"echo $$ >/run/lab/pid; exec {CALICO} attach web c1", env=environment())
    until(calls.exists, "the second plugin runs")
    host.out("kill", f"-{signal}", host.path("/run/lab/pid").read_text().strip())
    if signal == "KILL":
        started.wait()
    waits.unlink()
    assert started.wait() != 0
    if signal == "KILL":
        assert host.left(), "or there is nothing to take away"
        assert attached(host, "web", "c1") == "10.1.0.2", "what was half done is taken away first"
        said(run(host, "detach", "web", "c1"))
    assert calls.read_text().splitlines()[:2] == [f"{c} netns-c1 eth0 /run/netns/c1" for c in ("ADD", "DEL")]
    assert host.left() == {}
    assert host.links(inside="c1") == {"lo"}
    assert list(host.path("/run/calico-rkt/attached").iterdir()) == []


def test_a_damaged_record_is_told_and_detached_by_the_conf_of_today(host: Lab) -> None:
    address = attached(host, "web", "c1", "--port", "8001:8080")
    (record,) = host.path("/run/calico-rkt/attached").iterdir()
    record.write_text('{"a":' * 9999)
    for command in (["attach", "web", "c1"], ["gc"]):
        assert "is damaged\ncalico-rkt detach, as it was attached, takes it away" in said(run(host, *command), 2)
    assert said(run(host, "detach", "web", "c1")) == "detached web/netns-c1/eth0\n"
    assert address not in host.out("iptables-save")
    assert not record.exists()
    assert host.left() == {}


def test_an_endpoint_that_can_not_be_read_keeps_gc_from_no_other(host: Lab) -> None:
    attached(host, "web", "c1")
    (first,) = host.path("/run/calico-rkt/attached").iterdir()
    host.netns("c2")
    attached(host, "web", "c2")
    damaged, over = ("c1", "c2") if first == min(first.parent.iterdir()) else ("c2", "c1")
    key = ("e", f'["web","netns-{damaged}","eth0"]')
    state_log.change(host.path(STATE), lambda e: e.update({key: state_log.with_field(e[key], 4, "no name")}))
    host.out("ip", "netns", "del", over)
    until(lambda: sum(name.startswith("crk") for name in host.links()) == 1, "its link is gone")
    done = run(host, "gc")
    assert done.returncode == 2, done
    assert f"detached web netns-{over} eth0" in done.stdout.decode(), done
    assert f"container 'netns-{damaged}' in network 'web' is damaged" in done.stderr.decode()
    said(run(host, "detach", "web", damaged))
    assert host.left() == {}


WRONG = {
    "wbe c1": "no conf names network 'wbe'\n"
    "looked in /etc/rkt/net.d, /etc/cni/net.d, /etc/calico-rkt/networks; known: back, lost, more, web",
    "web nowhere": "there is no network namespace at /run/netns/nowhere\nip netns add nowhere makes it",
    "web 99999999": "there is no network namespace at /proc/99999999/ns/net\nhas its container gone?",
    "web c1 --ifname a/b": "--ifname 'a/b' is no name of an interface\nsuch as eth1",
    "web 77": "77 may be a pid, and is a name of ip netns, too\nwrite /run/netns/77, or /proc/77/ns/net",
    "web 1": "/proc/1/ns/net is the network namespace of the host",
    "web /etc/passwd": "/etc/passwd is no network namespace",
    "web c1 --id a/b": "--id 'a/b' is no id of a container\nletters, digits",
    "web c1 --ifname lo": "/run/netns/c1 has an interface lo already",
    "web c1 --ip 10.77.0.1": "the requested address 10.77.0.1 is in no range of network 'web'",
    "web c1 --ip 10.1.0": "--ip '10.1.0' is no IP address",
    "web c1 --mac 01:00:00:00:00:01": "is no MAC address of an interface",
    "web c1 --port 80": "'80' is no port to publish\nsuch as 8080:80",
    "web c1 --port 80:80 --port 80:81": "the host's port 80 is asked for more than once",
    "web c1 --port [::1]:80:80": "network 'web' has no address of the family of ::1",
    "back c1 --port 80:80": "no plugin of network 'back' publishes ports\nthe conf has to be a list",
    "lost c1": "the plugin 'nosuch' of network 'lost' is in no folder of plugins\nlooked in",
    "more c1": "libcni 1.2 and later run more plugins for 'more', which are not read here: /etc/cni/net.d/more/1.conf",
    "comma c1": "a comma before the closing }",
    "web c1 --confs /nowhere": "/nowhere is no folder of confs",
    "web": "the following arguments are required: NETNS",
}


def test_what_is_asked_wrongly_is_said_and_nothing_is_done(bare_lab: Lab) -> None:
    network(bare_lab, conf("web", pool("10.1.0.0/24")), PORTMAP)
    network(bare_lab, conf("back", pool("10.2.0.0/24")))
    network(bare_lab, conf("lost", pool("10.3.0.0/24")), {"type": "nosuch"})
    network(bare_lab, conf("more", pool("10.5.0.0/24")), PORTMAP)
    bare_lab.write("/etc/cni/net.d/more/1.conf", json.dumps({"type": "tuning"}))
    for name in ("c1", "77"):
        bare_lab.netns(name)
    for words, told in WRONG.items():
        if words.startswith("comma"):
            text = json.dumps(conf("comma", pool("10.4.0.0/24"))).removesuffix("}") + ",}"
            bare_lab.write("/etc/cni/net.d/20-comma.conf", text)
        assert told in said(run(bare_lab, "attach", *words.split()), 2), words
    assert "NETNS or --id is needed" in said(run(bare_lab, "detach", "web"), 2)
    assert "77 may be a pid" in said(run(bare_lab, "detach", "web", "77"), 2)
    assert "nonet/x/eth0 is not attached; to nonet: none" in said(run(bare_lab, "detach", "nonet", "--id", "x"), 1)
    assert bare_lab.left() == {}
    assert bare_lab.links(inside="c1") == {"lo"}
    assert list(bare_lab.path("/run/calico-rkt").glob("attached/*")) == []
