"""etcd v2 away, slow, behind TLS, with users, or one of three: an ADD ends in time, a DEL is finished later."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.commands import tool
from tests.clients.support.etcd import three_members
from tests.clients.support.etcd2 import OldEtcd, old_conf, old_inconsistent, old_left_in, records
from tests.clients.support.etcd_tls import CERTIFICATES, CLIENT, SERVER
from tests.clients.support.lab import Lab, until
from tests.patience import slowness

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

JOURNAL = "/var/lib/calico-rkt/journal"


def journal(lab: Lab) -> list[dict[str, Any]]:
    return [json.loads(p.read_text()) for p in sorted(lab.path(JOURNAL).glob("*.json"))]


def test_without_etcd_an_add_fails_in_time_and_leaves_nothing(lab: Lab, cni: Caller) -> None:
    conf = old_conf("http://127.0.0.1:2379,http://192.0.2.1:2379")
    begun = time.monotonic()
    error = cni("ADD", conf, "a", lab.netns("a")).refused(11)
    assert time.monotonic() - begun < 15 * slowness()  # 10 s are promised, and this machine is shared
    for member in ("http://127.0.0.1:2379", "http://192.0.2.1:2379"):
        assert member in error["msg"]
        assert f"{member}: Connection refused" in error["details"]
    assert (lab.left(), journal(lab)) == ({}, [])


def test_an_etcd_that_does_not_answer_is_given_up_in_time(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    netns = lab.netns("a")
    lab.run("pkill", "-STOP", "-f", "data-dir /run/etcd-m1 ")
    try:
        begun = time.monotonic()
        cni("ADD", old_conf(old), "a", netns).refused(11)
        assert time.monotonic() - begun < 15 * slowness()
        assert lab.left() == {}
    finally:
        assert old.process is not None
        old.process.send_signal(signal.SIGCONT)  # nsenter stopped with it, and hands this on
    cni.add(old_conf(old), "a", netns)
    assert old_inconsistent(old) == []


def test_an_etcd_without_the_v2_api_is_named(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    lab.write("/run/www/v2/keys/index.html", "no etcd\n")
    lab.start("/bin/busybox", "httpd", "-f", "-p", "127.0.0.1:8099", "-h", "/run/www")
    error = cni("ADD", old_conf("http://127.0.0.1:8099"), "a", lab.netns("a"))
    if error.json["code"] == 11:  # the server was not there yet
        error = cni("ADD", old_conf("http://127.0.0.1:8099"), "a", "/var/run/netns/a")
    assert "--enable-v2" in error.refused(110)["details"]
    assert old_left_in(old) == []


@pytest.mark.parametrize("lab", ["alone"], indirect=True)  # an agent finishes by itself
@pytest.mark.parametrize("finisher", ["ADD", "DEL", "gc"])
def test_a_del_without_etcd_is_finished_by_the_next_command(lab: Lab, cni: Caller, old: OldEtcd, finisher: str) -> None:
    conf = old_conf(old)
    lab.write("/etc/cni/net.d/net1.conf", json.dumps(conf))
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    old.stop()
    cni.delete(conf, "a", netns)
    cni.delete(conf, "a", netns)
    cni.delete(conf, "lost-its-record", "")
    assert (lab.left(), records(lab)) == ({}, [])
    assert sorted(r["container"] for r in journal(lab)) == ["a", "a", "lost-its-record"]
    old.start()
    assert len(old.endpoints()) == 1
    if finisher == "ADD":
        cni.add(conf, "b", lab.netns("b"))
        assert [e["calico_rkt"]["container"] for e in old.endpoints().values()] == ["b"]
        cni.delete(conf, "b", "/var/run/netns/b")
    elif finisher == "DEL":
        cni.delete(conf, "never", "")
    else:
        done = tool(lab, "gc")
        assert done.returncode == 0, done
        assert b"net1 a eth0" in done.stdout
    assert journal(lab) == []
    assert old_left_in(old) == []


@pytest.mark.parametrize("lab", ["agent"], indirect=True)
def test_a_del_without_etcd_is_finished_by_the_agent(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    conf = old_conf(old)
    cni.add(conf, "a", lab.netns("a"))
    old.stop()
    cni.delete(conf, "a", "/var/run/netns/a")
    assert (lab.left(), records(lab)) == ({}, [])
    old.start()
    until(lambda: journal(lab) == [], "the agent finishes the release")
    assert old_left_in(old) == []


def test_a_late_release_never_touches_the_next_holder(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    conf = old_conf(old)
    netns = lab.netns("a")
    first = cni.add(conf, "a", netns)
    old.stop()
    cni.delete(conf, "a", netns)
    noted = {p.name: p.read_text() for p in lab.path(JOURNAL).glob("*.json")}
    old.start()
    again = cni.add(conf, "a", netns, CNI_ARGS=f"IP={addresses(first)[0]}")
    assert addresses(again) == addresses(first)
    for name, text in noted.items():
        lab.write(f"{JOURNAL}/{name}", text)  # as if it had never been finished
    cni.add(conf, "b", lab.netns("b"))
    assert journal(lab) == []
    assert len(old.endpoints()) == 2
    assert old_inconsistent(old) == []
    cni("CHECK", conf, "a", netns).succeeded()


@pytest.mark.parametrize("lab", ["alone"], indirect=True)  # an agent finishes by itself
def test_both_data_models_on_one_host_keep_to_themselves(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    """Today's Calico and that of 2015 in the same etcd: what one could not give back is no business of the other."""
    old.bootstrap()
    today = old_conf(old, "today", "10.3.0.0/16", datastore_type="etcdv3")
    conf = old_conf(old)
    for one in (conf, today):
        lab.write(f"/etc/cni/net.d/{one['name']}.conf", json.dumps(one))
    cni.add(conf, "a", lab.netns("a"))
    cni.add(today, "b", lab.netns("b"))
    old.stop()
    cni.delete(conf, "a", "/var/run/netns/a")
    old.start()
    cni("CHECK", today, "b", "/var/run/netns/b").succeeded()
    cni.delete(today, "never", "")
    assert len(journal(lab)) == 1
    assert len(old.endpoints()) == 1
    done = tool(lab, "gc")
    assert done.returncode == 0, done
    assert (journal(lab), old_left_in(old)) == ([], [])
    cni("CHECK", today, "b", "/var/run/netns/b").succeeded()
    shown = json.loads(tool(lab, "status", "--format", "json").stdout)
    assert {n["datastore"] for n in shown["networks"]} == {old.url, f"{old.url} (etcd v2)"}


@pytest.fixture
def three(lab: Lab) -> list[OldEtcd]:
    members = three_members(lab, OldEtcd)
    members[0].ready()
    return members


def test_the_next_member_is_asked_when_one_is_down(lab: Lab, cni: Caller, three: list[OldEtcd]) -> None:
    conf = old_conf(",".join(m.url for m in three))
    netns = lab.netns("a")
    cni.add(conf, "a", netns)
    three[0].stop()
    cni.add(conf, "b", lab.netns("b"))
    cni.delete(conf, "a", netns)
    assert [e["calico_rkt"]["container"] for e in three[1].endpoints().values()] == ["b"]
    three[1].stop()
    error = cni("ADD", conf, "c", lab.netns("c")).refused(11)
    assert three[2].url in error["details"]
    cni.delete(conf, "b", "/var/run/netns/b")
    assert lab.left() == {}
    three[1].begin({m.name: m.peer for m in three})
    three[1].wait()
    cni.delete(conf, "anything", "")
    assert old_left_in(three[1]) == []


def test_tls_with_a_client_s_certificate(lab: Lab, cni: Caller) -> None:
    lab.out("sh", "-c", CERTIFICATES)
    old = OldEtcd(lab, scheme="https", flags=(*SERVER, "--client-cert-auth"))
    old.etcdctl_flags = ("--cacert=/run/tls/ca.crt", "--cert=/run/tls/client.crt", "--key=/run/tls/client.key")
    old.curl_flags = ("--cacert", "/run/tls/ca.crt", "--cert", "/run/tls/client.crt", "--key", "/run/tls/client.key")
    old.start()
    old.ready()
    good = old_conf(old, etcd_ca_cert_file="/run/tls/ca.crt", **CLIENT)
    netns = lab.netns("a")
    cni.add(good, "a", netns)
    cni("CHECK", good, "a", netns).succeeded()
    cni.delete(good, "a", netns)
    assert old_left_in(old) == []
    other = {**good, "etcd_ca_cert_file": "/run/tls/other-ca.crt"}
    assert "not trusted" in cni("ADD", other, "a", netns).refused(110)["msg"]
    keys = ("-key", "/run/tls/x.key", "-cert", "/run/tls/other-ca.crt")
    lab.start("openssl", "s_server", "-accept", "2399", *keys, "-quiet")
    until(lambda: b":2399" in lab.run("ss", "-ltn").stdout, "another listens")
    several = {**good, "etcd_authority": "", "etcd_endpoints": f"https://127.0.0.1:2399,{old.url}"}
    cni.add(several, "a", netns)
    cni.delete(several, "a", netns)
    missing = {**good, "etcd_ca_cert_file": "/run/tls/none.crt"}
    assert "/run/tls/none.crt" in cni("ADD", missing, "a", netns).refused(7)["msg"]
    nobody = {k: v for k, v in good.items() if k not in CLIENT}
    assert "TLS" in cni("ADD", nobody, "a", netns).refused(110)["msg"]
    assert lab.left() == {}


def test_a_user_with_a_password(lab: Lab, cni: Caller, old: OldEtcd) -> None:
    old.set("/calico/v1/host/node1/config/marker", "created")
    for path, body in (
        ("users/root", {"user": "root", "password": "secret-root"}),
        ("roles/calico", {"role": "calico", "permissions": {"kv": {"read": ["/calico/*"], "write": ["/calico/*"]}}}),
        ("users/calico", {"user": "calico", "password": "secret-calico", "roles": ["calico"]}),
        ("enable", {}),
    ):
        old.curl(f"/v2/auth/{path}", "-X", "PUT", "-d", "@-", stdin=json.dumps(body).encode())
    old.curl_flags = ("-u", "root:secret-root")
    guest = {"role": "guest", "revoke": {"kv": {"read": ["/*"], "write": ["/*"]}}}
    old.curl("/v2/auth/roles/guest", "-X", "PUT", "-d", "@-", stdin=json.dumps(guest).encode())
    lab.write("/etc/calico-rkt/password", "secret-calico\n")
    good = old_conf(old, etcd_username="calico", etcd_password_file="/etc/calico-rkt/password", log_level="debug")
    netns = lab.netns("a")
    cni.add(good, "a", netns)
    cni.delete(good, "a", netns)
    assert old_left_in(old) == []
    plain = old_conf(old)
    cni.add(plain, "a", netns, ETCD_USERNAME="calico", ETCD_PASSWORD="secret-calico")
    cni.delete(plain, "a", netns, ETCD_USERNAME="calico", ETCD_PASSWORD="secret-calico")
    for bad, words in (
        ({}, "asks for a user"),
        ({"ETCD_USERNAME": "calico", "ETCD_PASSWORD": "secret-wrong"}, "refuses this user"),
    ):
        reply = cni("ADD", plain, "a", netns, **bad)
        assert words in reply.refused(110)["msg"]
        assert b"secret" not in reply.stdout + reply.stderr
    assert "secret" not in lab.path("/var/log/calico-rkt/calico-rkt.log").read_text()
    assert lab.left() == {}
