"""What runtimes may put into a conf: dns, null, capabilities, wishes that only an ADD has, and a conf that changed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import PLUGINS, Lab, conf, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"))
DNS = {
    "nameservers": ["10.9.9.9", "fd00::9"],
    "domain": "lab",
    "search": ["lab", "example.org"],
    "options": ["ndots:2"],
}
PTP = {"type": "ptp", "name": "ptp", "ipam": {"type": "host-local", "subnet": "10.77.0.0/24"}}
STATIC = {"type": "static", "addresses": [{"address": "10.5.0.7/24", "gateway": "10.5.0.1"}]}


@pytest.mark.parametrize("version", ["0.2.0", "1.0.0"])
def test_dns_of_the_conf_is_in_the_result_as_ptp_has_it(lab: Lab, cni: Caller, version: str) -> None:
    netns = lab.netns("c1")
    of = conf("web", pool("10.1.0.0/24"), cni=version, dns=DNS)
    ours = cni.add(of, netns=netns)
    theirs = Caller(lab, f"{PLUGINS}/ptp").add({**of, **PTP}, netns=lab.netns("c2"))
    assert ours["dns"] == theirs["dns"] == DNS
    assert cni.add(of, netns=netns)["dns"] == DNS, "and in the result of a repeated ADD"
    cni.delete(of, netns=netns)


def test_what_the_capability_dns_gives_stands_in_for_the_conf_s(bare_lab: Lab) -> None:
    cni = Caller(bare_lab)
    capable = {**WEB, "dns": DNS, "capabilities": {"dns": True}}
    for keys in ({"Servers": ["10.8.8.8"], "Searches": None, "Options": []}, {"servers": ["10.8.8.8"]}):
        of = {**capable, "runtimeConfig": {"dns": keys}}
        assert cni.add(of, netns=bare_lab.netns("c1"))["dns"] == {**DNS, "nameservers": ["10.8.8.8"]}
        cni.delete(of, netns="/var/run/netns/c1")
        bare_lab.out("ip", "netns", "del", "c1")


def test_dns_of_delegated_ipam_counts_where_the_conf_has_none(bare_lab: Lab) -> None:
    cni = Caller(bare_lab)
    netns = bare_lab.netns("c1")
    delegated = conf("web", {**STATIC, "dns": {"nameservers": ["10.7.7.7"]}})
    assert cni.add(delegated, netns=netns)["dns"] == {"nameservers": ["10.7.7.7"]}
    cni.delete(delegated, netns=netns)
    assert cni.add({**delegated, "dns": DNS}, netns=netns)["dns"] == DNS


@pytest.mark.parametrize(
    "wrong",
    [
        {"dns": "10.9.9.9"},
        {"dns": {"nameservers": "10.9.9.9"}},
        {"dns": {"nameservers": [9]}},
        {"dns": {"domain": ["lab"]}},
        {"dns": {"search": ["lab\nnameserver 10.6.6.6"]}},
        {"runtimeConfig": {"dns": ["10.9.9.9"]}},
        {"runtimeConfig": {"dns": {"servers": "10.9.9.9"}}},
    ],
)
def test_dns_of_a_wrong_shape_is_refused_at_add_and_no_hindrance_at_del(bare_lab: Lab, wrong: dict[str, Any]) -> None:
    cni = Caller(bare_lab)
    netns = bare_lab.netns("c1")
    cni("ADD", {**WEB, **wrong}, netns=netns).refused(7)
    cni.add(WEB, netns=netns)
    cni.delete({**WEB, **wrong}, netns=netns)
    assert bare_lab.left() == {}


OPTIONAL = (
    *("cniVersion", "ipMasq", "mtu", "datastore_type", "nodename", "require_felix", "log_level", "profiles_dir", "dns"),
    *("etcd_authority", "etcd_endpoints", "etcd_ca_cert_file", "etcd_cert_file", "etcd_key_file", "etcd_username"),
    *("etcd_password_file", "capabilities", "runtimeConfig", "args", "prevResult", "disableCheck"),
)
OPTIONAL_IPAM = ("rangeStart", "rangeEnd", "gateway", "ranges", "routes", "exclude", "dataDir", "resolvConf")


def test_null_for_any_optional_key_is_the_same_as_none(bare_lab: Lab) -> None:
    """As Go's reader of JSON has it, which the runtimes and CNI's own plugins share."""
    cni = Caller(bare_lab)
    of = {**WEB, **dict.fromkeys(OPTIONAL), "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}
    of["ipam"] |= dict.fromkeys(OPTIONAL_IPAM)
    result = cni.add(of, netns=bare_lab.netns("c1"))
    assert result["cniVersion"] == "0.1.0"
    assert addresses(result) == ["10.1.0.1"]
    for key in ("name", "type", "ipam"):
        cni("ADD", {**WEB, key: None}, "c2", "/var/run/netns/c1", "eth1").refused(7)
    ranged = {"type": "host-local", "subnet": None, "ranges": [[{"subnet": "10.2.0.0/24", "gateway": None}]]}
    assert addresses(cni.add({**WEB, "name": "b", "ipam": ranged}, "c2", bare_lab.netns("c2"))) == ["10.2.0.1"]


def test_a_runtime_that_asks_for_ranges_is_told_that_they_are_not_served(lab: Lab, cni: Caller) -> None:
    netns = lab.netns("c1")
    ranges = {"ipRanges": [[{"subnet": "10.99.0.0/24"}]]}
    reply = cni("ADD", {**WEB, "capabilities": {"ipRanges": True}, "runtimeConfig": ranges}, netns=netns).succeeded()
    assert addresses(reply.json) == ["10.1.0.1"]
    assert b"CR230" in reply.stderr


WISHES = [
    ({"runtimeConfig": {"ips": "10.1.0.9"}}, {}),
    ({"runtimeConfig": {"ips": ["nonsense"], "mac": 5}}, {}),
    ({"runtimeConfig": []}, {}),
    ({"args": {"cni": {"ips": ["10.1.0.300"]}}}, {}),
    ({"args": "x"}, {}),
    ({}, {"CNI_ARGS": "IP=nonsense;MAC=ff:ff:ff:ff:ff:ff"}),
    ({}, {"CNI_ARGS": "no pair"}),
    ({"prevResult": []}, {}),
    ({"prevResult": {"ips": 5, "interfaces": "x"}}, {}),
]


@pytest.mark.parametrize("verb", ["DEL", "CHECK"])
def test_wishes_that_only_an_add_needs_hinder_no_other_verb(bare_lab: Lab, verb: str) -> None:
    cni = Caller(bare_lab)
    netns = bare_lab.netns("c1")
    for keys, environment in WISHES:
        if verb == "CHECK" and "prevResult" in keys:
            continue
        cni.add(WEB, netns=netns)
        cni(verb, {**WEB, **keys}, netns=netns, **environment).succeeded()
        cni.delete(WEB, netns=netns)
    assert bare_lab.left() == {}


CHANGED = {
    "another subnet": {"ipam": {"type": "host-local", "subnet": "10.9.0.0/24"}},
    "a subnet that is none": {"ipam": {"type": "host-local", "subnet": "10.9.0.0/33"}},
    "no ipam any more": {"ipam": None},
    "ipam that is no object": {"ipam": "host-local"},
    "an mtu that is none": {"mtu": "big"},
    "a key in other case": {"ipmasq": True},
    "another version": {"cniVersion": "0.3.1"},
    "an ipam plugin that is not there": {"ipam": {"type": "nowhere"}},
    "static": {"ipam": STATIC},
    "a cluster that is away": {"datastore_type": "etcdv3", "etcd_endpoints": "http://127.0.0.1:1"},
}


@pytest.mark.parametrize("changed", CHANGED.values(), ids=CHANGED)
def test_a_conf_that_changed_after_the_add_hinders_no_del(bare_lab: Lab, changed: dict[str, Any]) -> None:
    cni = Caller(bare_lab)
    netns = bare_lab.netns("c1")
    cni.add(WEB, netns=netns)
    cni.delete({**WEB, **changed}, netns=netns)
    assert bare_lab.left() == {}


def test_check_gives_the_ipam_plugin_what_it_said_itself(lab: Lab, cni: Caller) -> None:
    """static compares prefix and gateway, which a result of ours does not have."""
    netns = lab.netns("c1")
    fixed = conf("fixed", STATIC)
    result = cni.add(fixed, netns=netns)
    cni("CHECK", {**fixed, "prevResult": result}, netns=netns).succeeded()
    other = {**STATIC, "addresses": [{"address": "10.5.0.7/24", "gateway": "10.5.0.2"}]}
    cni("CHECK", {**fixed, "ipam": other, "prevResult": result}, netns=netns).refused()
    cni.delete({**fixed, "prevResult": result}, netns=netns)
    assert lab.left() == {}


def test_del_asks_the_ipam_plugin_that_gave_the_address_whatever_the_conf_says_by_then(lab: Lab, cni: Caller) -> None:
    netns = lab.netns("c1")
    told = "/run/told"
    script = (
        f"#!/bin/sh\n[ $CNI_COMMAND = DEL ] && {{ echo $CNI_CONTAINERID; exec cat; }} >{told}\nexec {PLUGINS}/static\n"
    )
    lab.write(f"{PLUGINS}/recorder", script)
    lab.path(PLUGINS, "recorder").chmod(0o755)
    given = conf("web", {**STATIC, "type": "recorder"})
    result = cni.add(given, netns=netns)
    cni.delete({**WEB, "prevResult": result}, netns=netns)
    container, _, text = lab.path(told).read_text().partition("\n")
    assert container == "c1"
    assert json.loads(text)["ipam"] == given["ipam"]
    assert json.loads(text)["prevResult"]["ips"][0]["gateway"] == "10.5.0.1"
    assert lab.left() == {}


def test_what_gc_frees_is_given_back_to_the_ipam_plugin_that_gave_it(bare_lab: Lab) -> None:
    cni, told = Caller(bare_lab), "/run/told"
    script = f"#!/bin/sh\n[ $CNI_COMMAND = DEL ] && {{ env | grep ^CNI_; exec cat; }} >{told}\nexec {PLUGINS}/static\n"
    bare_lab.write(f"{PLUGINS}/recorder", script)
    bare_lab.path(PLUGINS, "recorder").chmod(0o755)
    cni.add(conf("web", {**STATIC, "type": "recorder"}), netns=bare_lab.netns("c1"))
    bare_lab.out("ip", "netns", "del", "c1")
    bare_lab.out(f"{PLUGINS}/calico", "gc")
    lines = bare_lab.path(told).read_text().splitlines()
    assert {"CNI_COMMAND=DEL", "CNI_CONTAINERID=c1", "CNI_IFNAME=eth0", f"CNI_PATH={PLUGINS}"} <= set(lines)
    assert json.loads(lines[-1])["ipam"] == {**STATIC, "type": "recorder"}
    assert bare_lab.left() == {}


def test_check_of_a_prev_result_of_a_wrong_shape_is_refused_in_words(bare_lab: Lab) -> None:
    cni = Caller(bare_lab)
    netns = bare_lab.netns("c1")
    cni.add(WEB, netns=netns)
    for odd in ({"ips": 5}, {"ips": ["x"]}, {"ips": [{"address": 5}]}, {"ip4": []}, [], "x"):
        error = cni("CHECK", {**WEB, "prevResult": odd}, netns=netns).refused()
        assert error["code"] in (7, 109), error


def test_routes_of_a_conf_stand_beside_the_default_route(bare_lab: Lab) -> None:
    ipam = {"type": "host-local", "ranges": [[{"subnet": "10.61.0.0/24"}]], "routes": [{"dst": "192.0.2.0/24"}]}
    added = Caller(bare_lab).add(conf("web", ipam), netns=bare_lab.netns("c1"))
    assert added["routes"] == [{"dst": "192.0.2.0/24"}]
    found = bare_lab.out("ip", "-4", "route", inside="c1").splitlines()
    assert [line.split()[0] for line in found] == ["default", "10.61.0.0/24", "169.254.1.1", "192.0.2.0/24"]
