"""etcd away, slow, behind TLS, with users, or one of three: an ADD ends in time and undone, a DEL is finished later."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import pytest

from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller, addresses
from tests.clients.support.etcd import ENDPOINTS, Etcd, cluster_conf, inconsistent, left_in, three_members
from tests.clients.support.etcd_tls import CERTIFICATES, CLIENT, SERVER
from tests.clients.support.lab import PLUGINS, Lab, environment, until
from tests.patience import slowness

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

JOURNAL = "/var/lib/calico-rkt/journal"


def journal(lab: Lab) -> list[dict[str, Any]]:
    return [json.loads(p.read_text()) for p in sorted(lab.path(JOURNAL).glob("*.json"))]


def test_without_etcd_an_add_fails_in_time_and_leaves_nothing(lab: Lab, cni: Caller) -> None:
    conf = cluster_conf("http://127.0.0.1:2379,http://192.0.2.1:2379")
    begun = time.monotonic()
    error = cni("ADD", conf, "a", lab.netns("a")).refused(11)
    assert time.monotonic() - begun < 15 * slowness()  # 10 s are promised, and this machine is shared
    for member in ("http://127.0.0.1:2379", "http://192.0.2.1:2379"):
        assert member in error["msg"]
        assert member in error["details"]
    assert lab.left() == {}
    assert journal(lab) == []


def test_an_etcd_that_does_not_answer_is_given_up_in_time(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    netns = lab.netns("a")
    lab.run("pkill", "-STOP", "-f", "data-dir /run/etcd-m1 ")
    try:
        begun = time.monotonic()
        cni("ADD", cluster_conf(etcd), "a", netns).refused(11)
        assert time.monotonic() - begun < 15 * slowness()
        assert lab.left() == {}
    finally:
        assert etcd.process is not None
        etcd.process.send_signal(signal.SIGCONT)  # nsenter stopped with it, and hands this on
    cni.add(cluster_conf(etcd), "a", netns)
    assert inconsistent(etcd) == []


@pytest.mark.parametrize("lab", ["alone"], indirect=True)
@pytest.mark.parametrize("finisher", ["ADD", "DEL", "gc"])
def test_a_del_without_etcd_is_finished_by_the_next_command(lab: Lab, cni: Caller, etcd: Etcd, finisher: str) -> None:
    conf = cluster_conf(etcd)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(conf))
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    etcd.stop()
    cni.delete(conf, "a", netns)
    cni.delete(conf, "a", netns)
    cni.delete(conf, "lost-its-record", "")
    assert lab.left() == {}
    assert sorted(r["container"] for r in journal(lab)) == ["a", "a", "lost-its-record"]
    etcd.start()
    assert len(left_in(etcd)) == 3
    if finisher == "ADD":
        cni.add(conf, "b", lab.netns("b"))
        assert [v["spec"]["containerID"] for v in etcd.dump(ENDPOINTS).values()] == ["b"]
        cni.delete(conf, "b", "/var/run/netns/b")
    elif finisher == "DEL":
        cni.delete(conf, "never", "")
    else:
        done = lab.run(f"{PLUGINS}/calico", "gc", env=environment())
        assert done.returncode == 0, done
        assert b"net1 a eth0" in done.stdout
    assert journal(lab) == []
    assert left_in(etcd) == {}
    assert inconsistent(etcd) == []


@pytest.mark.parametrize("lab", ["alone"], indirect=True)
@pytest.mark.parametrize("knows_from", ["a call", "the host's confs"])
def test_an_agent_finishes_a_del_by_itself(lab: Lab, cni: Caller, etcd: Etcd, knows_from: str) -> None:
    conf = cluster_conf(etcd)
    agent = Agent(lab)
    if knows_from == "a call":
        agent.start()
    else:
        lab.write("/etc/cni/net.d/net1.conf", json.dumps(conf))
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    etcd.stop()
    cni.delete(conf, "a", netns)
    assert len(journal(lab)) == 1
    if knows_from != "a call":
        agent.start()
    assert agent.counted("journal_length") == 1
    etcd.start()
    until(lambda: journal(lab) == [], "the agent gives it back")
    assert left_in(etcd) == {}
    assert inconsistent(etcd) == []


def test_a_late_release_never_touches_the_next_holder(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    conf = cluster_conf(etcd)
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    etcd.stop()
    cni.delete(conf, "a", netns)
    noted = {p.name: p.read_text() for p in lab.path(JOURNAL).glob("*.json")}
    etcd.start()
    again = cni.add(conf, "a", netns)
    for name, text in noted.items():
        lab.write(f"{JOURNAL}/{name}", text)  # as if it had never been finished
    cni.add(conf, "b", lab.netns("b"))
    assert journal(lab) == []
    assert addresses(again)[0] in str(etcd.dump(ENDPOINTS)[f"{ENDPOINTS}node1-cni-a-eth0"])
    assert inconsistent(etcd) == []
    cni("CHECK", conf, "a", netns).succeeded()


@pytest.fixture
def three(lab: Lab) -> list[Etcd]:
    members = three_members(lab, Etcd)
    members[0].bootstrap()
    return members


def test_the_next_member_is_asked_when_one_is_down(lab: Lab, cni: Caller, three: list[Etcd]) -> None:
    conf = cluster_conf(",".join(m.url for m in three))
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    three[0].stop()
    cni.add(conf, "b", lab.netns("b"))
    cni.delete(conf, "a", netns)
    assert [v["spec"]["containerID"] for v in three[1].dump(ENDPOINTS).values()] == ["b"]
    three[1].stop()
    error = cni("ADD", conf, "c", lab.netns("c")).refused(11)
    assert three[2].url in error["details"]
    cni.delete(conf, "b", "/var/run/netns/b")
    assert lab.left() == {}
    three[1].begin({m.name: m.peer for m in three})
    three[1].wait()
    cni.delete(conf, "anything", "")
    assert left_in(three[1]) == {}
    assert inconsistent(three[1]) == []


def test_a_member_s_name_of_which_one_address_is_dead(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    """As with IPv6 that leads nowhere: the address that nobody answers at comes first."""
    for argv in (
        "link add nowhere type veth peer name nobody",
        "link set nobody up",
        "link set nowhere up",
        "address add 2001:db8::1/64 dev nowhere nodad",
        "neighbour add 2001:db8::9 lladdr 02:00:00:00:00:09 dev nowhere",
    ):
        lab.out("ip", *argv.split())
    lab.out("rm", "/etc/hosts")  # a link to this machine's
    lab.write("/etc/hosts", "2001:db8::9 etcd.test\n127.0.0.1 etcd.test\n")
    assert lab.out("getent", "ahosts", "etcd.test").startswith("2001:db8::9")
    conf = cluster_conf("http://etcd.test:2379")
    cni.add(conf, "a", lab.netns("a"))
    cni.delete(conf, "a", "/var/run/netns/a")
    assert left_in(etcd) == {}


@pytest.fixture
def secured(lab: Lab) -> Etcd:
    """A member behind TLS that wants a client's certificate."""
    lab.out("sh", "-c", CERTIFICATES)
    made = Etcd(lab, scheme="https", flags=(*SERVER, "--client-cert-auth"))
    made.etcdctl_flags = ("--cacert=/run/tls/ca.crt", "--cert=/run/tls/client.crt", "--key=/run/tls/client.key")
    made.start()
    made.bootstrap()
    return made


def test_tls_with_a_client_s_certificate(lab: Lab, cni: Caller, secured: Etcd) -> None:
    good = cluster_conf(secured, etcd_ca_cert_file="/run/tls/ca.crt", **CLIENT)
    netns = lab.netns("a")
    cni.add(good, "a", netns)
    cni("CHECK", good, "a", netns).succeeded()
    cni.delete(good, "a", netns)
    assert left_in(secured) == {}
    other = {**good, "etcd_ca_cert_file": "/run/tls/other-ca.crt"}
    assert "not trusted" in cni("ADD", other, "a", netns).refused(110)["msg"]
    missing = {**good, "etcd_ca_cert_file": "/run/tls/none.crt"}
    assert "/run/tls/none.crt" in cni("ADD", missing, "a", netns).refused(7)["msg"]
    nobody = {k: v for k, v in good.items() if k not in CLIENT}
    assert "TLS" in cni("ADD", nobody, "a", netns).refused(110)["msg"]
    assert lab.left() == {}


def test_a_member_that_is_of_no_use_keeps_nobody_from_the_others(lab: Lab, cni: Caller, secured: Etcd) -> None:
    """One whose certificate nobody here trusts, and what is no etcd, are named before the one that is."""
    keys = ("-key", "/run/tls/x.key", "-cert", "/run/tls/other-ca.crt")
    lab.start("openssl", "s_server", "-accept", "2399", *keys, "-quiet")
    lab.start("python3", "-m", "http.server", "-b", "127.0.0.1", "-d", "/run/tls", "2398")
    until(lambda: b":2398" in (found := lab.run("ss", "-ltn").stdout) and b":2399" in found, "both listen")
    members = ("https://127.0.0.1:2399", "http://127.0.0.1:2398", secured.url)
    conf = cluster_conf(",".join(members), etcd_ca_cert_file="/run/tls/ca.crt", **CLIENT)
    cni.add(conf, "a", lab.netns("a"))
    cni.delete(conf, "a", "/var/run/netns/a")
    assert left_in(secured) == {}
    none = {**conf, "etcd_endpoints": ",".join(members[:2])}
    assert (
        f"the certificate of {members[0]} is not trusted"
        in cni("ADD", none, "a", "/var/run/netns/a").refused(110)["msg"]
    )


USERS = (
    ["user", "add", "root:secret-root"],
    ["user", "add", "calico:secret-calico"],
    ["role", "add", "calico"],
    ["role", "grant-permission", "calico", "--prefix=true", "readwrite", "/calico/"],
    ["user", "grant-role", "calico", "calico"],
    ["user", "grant-role", "root", "root"],
    ["auth", "enable"],
)
JWT = "--auth-token=jwt,pub-key=/run/jwt.pub,priv-key=/run/jwt.key,sign-method=RS256,ttl=1h"


@pytest.mark.parametrize("token", ["simple", "jwt"])
def test_a_token_of_before_a_change_of_users_is_replaced(lab: Lab, cni: Caller, token: str) -> None:
    """An agent keeps its token between calls: after any change it logs in again, whatever etcd's words are."""
    lab.out("sh", "-c", "openssl genrsa -out /run/jwt.key 2048 && openssl rsa -in /run/jwt.key -pubout >/run/jwt.pub")
    etcd = Etcd(lab, flags=(JWT,) if token == "jwt" else ()).start()
    etcd.bootstrap()
    for command in USERS:
        assert etcd.ctl(*command).returncode == 0
    etcd.etcdctl_flags = ("--user=root:secret-root",)
    lab.write("/etc/calico-rkt/password", "secret-calico\n")
    conf = cluster_conf(etcd, etcd_username="calico", etcd_password_file="/etc/calico-rkt/password")
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    for change in (
        ["role", "add", "other"],
        ["user", "grant-role", "calico", "other"],
        ["user", "passwd", "calico", "--interactive=false"],
        ["user", "add", "new:one"],
    ):
        done = etcd.ctl(*change, stdin=b"secret-calico\n")
        assert done.returncode == 0, done
        cni.delete(conf, "a", netns)
        assert journal(lab) == [], change
        cni.add(conf, "a", netns)
    cni.delete(conf, "a", netns)
    assert left_in(etcd) == {}


def test_a_del_that_etcd_refuses_is_noted_and_status_tells(lab: Lab, cni: Caller) -> None:
    """Out of space, no permission, no password file: what the kernel has is freed, the rest is given back later."""
    etcd = Etcd(lab, flags=("--quota-backend-bytes=6000000",)).start()
    etcd.bootstrap()
    conf = cluster_conf(etcd)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(conf))
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    cni.add(conf, "b", lab.netns("b"))
    for n in range(10):
        etcd.ctl("put", f"/fill/{n}", stdin=b"x" * 1_000_000)
    cni.delete(conf, "a", netns)
    assert lab.links() & {str(e["spec"]["interfaceName"]) for e in etcd.dump(ENDPOINTS).values()} != set()
    assert [r["container"] for r in journal(lab)] == ["a"]
    assert "space" in journal(lab)[0]["why"]
    status = lab.run(f"{PLUGINS}/calico", "status", env=environment())
    assert status.returncode == 1
    assert b"1 attachments are noted to be given back" in status.stdout
    assert b"space" in status.stdout
    without = {**conf, "etcd_username": "calico", "etcd_password_file": "/nowhere"}
    assert etcd.ctl("del", "--prefix", "/fill/").returncode == 0
    revision = json.loads(etcd.ctl("endpoint", "status", "-w", "json").stdout)[0]["Status"]["header"]["revision"]
    for command in (["compact", str(revision)], ["defrag"], ["alarm", "disarm"], *USERS):
        done = etcd.ctl(*command)
        assert done.returncode == 0, done
    etcd.etcdctl_flags = ("--user=root:secret-root",)
    cni.delete(without, "b", "/var/run/netns/b")
    assert lab.left() == {}
    assert sorted(r["container"] for r in journal(lab)) == ["a", "b"]
    good = {
        **conf,
        "etcd_username": "calico",
        "etcd_password_file": lab.write("/etc/calico-rkt/password", "secret-calico"),
    }
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(good))
    done = lab.run(f"{PLUGINS}/calico", "gc", env=environment())
    assert done.returncode == 0, done
    assert journal(lab) == []
    assert left_in(etcd) == {}


def test_a_user_with_a_password(lab: Lab, cni: Caller, etcd: Etcd) -> None:
    for command in (
        ["user", "add", "root:secret-root"],
        ["user", "add", "calico:secret-calico"],
        ["user", "add", "nobody:secret-nobody"],
        ["role", "add", "calico"],
        ["role", "grant-permission", "calico", "--prefix=true", "readwrite", "/calico/"],
        ["user", "grant-role", "calico", "calico"],
        ["user", "grant-role", "root", "root"],
        ["auth", "enable"],
    ):
        done = etcd.ctl(*command)
        assert done.returncode == 0, done
    etcd.etcdctl_flags = ("--user=root:secret-root",)
    lab.write("/etc/calico-rkt/password", "secret-calico\n")
    good = cluster_conf(etcd, etcd_username="calico", etcd_password_file="/etc/calico-rkt/password", log_level="debug")
    netns = lab.netns("a")
    cni.add(good, "a", netns)
    cni.delete(good, "a", netns)
    assert left_in(etcd) == {}
    plain = cluster_conf(etcd)
    cni.add(plain, "a", netns, ETCD_USERNAME="calico", ETCD_PASSWORD="secret-calico")
    cni.delete(plain, "a", netns, ETCD_USERNAME="calico", ETCD_PASSWORD="secret-calico")
    for bad, words in (
        ({}, "asks for a user"),
        ({"ETCD_USERNAME": "calico", "ETCD_PASSWORD": "secret-wrong"}, "refuses this user"),
        ({"ETCD_USERNAME": "nobody", "ETCD_PASSWORD": "secret-nobody"}, "permission denied"),
    ):
        reply = cni("ADD", plain, "a", netns, **bad)
        assert words in reply.refused(110)["msg"]
        assert b"secret" not in reply.stdout + reply.stderr
    assert "secret" not in lab.path("/var/log/calico-rkt/calico-rkt.log").read_text()
    assert lab.left() == {}
