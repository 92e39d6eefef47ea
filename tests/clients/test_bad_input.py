"""Whatever is wrong with a call: one JSON error on stdout, no traceback anywhere, and nothing left in the host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.clients.support.caller import Caller, Reply
from tests.clients.support.lab import Lab, conf, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

IPAM = {"type": "host-local", "subnet": "10.1.0.0/24"}
WEB = conf("web", IPAM)
MARK = "/run/lab/a-shell-ran"

VERSION, UNSUPPORTED, CONTAINER, ENVIRONMENT, IO, DECODE, CONF = 1, 2, 3, 4, 5, 6, 7
INTERNAL, OUTSIDE, LINK, DELEGATE = 100, 103, 104, 108
"""CNI's codes, and this plugin's own from 100 on (plugin/cni/result.py)."""


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in WEB.items() if k != key}


def but(**changed: Any) -> dict[str, Any]:
    return {**WEB, **changed}


def ipam(**changed: Any) -> dict[str, Any]:
    return but(ipam={**IPAM, **changed})


def raw(text: str) -> bytes:
    return json.dumps(WEB).replace('"web"', text).encode()


def long_conf(size: int) -> bytes:
    """A conf that would be right but for its length."""
    return json.dumps(but(comment="x" * size)).encode()


STDIN: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "nothing": (b"", (DECODE,)),
    "white space": (b" \n", (DECODE,)),
    "half an object": (b'{"name": "web", ', (DECODE,)),
    "a trailing comma": (json.dumps(WEB)[:-1].encode() + b",}", (DECODE,)),
    "a comment": (json.dumps(WEB).encode() + b" // web", (DECODE,)),
    "two objects": (json.dumps(WEB).encode() * 2, (DECODE,)),
    "a byte order mark": (b"\xef\xbb\xbf" + json.dumps(WEB).encode(), (DECODE,)),
    "utf-16": (json.dumps(WEB).encode("utf-16"), (DECODE,)),
    "broken utf-8": (b'{"name": "w\xff"}', (DECODE,)),
    "binary": (bytes(range(256)) * 40, (DECODE,)),
    "a NUL": (b"\0", (DECODE,)),
    "a list": (b"[]", (DECODE, CONF)),
    "a string": (b'"web"', (DECODE, CONF)),
    "null": (b"null", (DECODE, CONF)),
    "NaN": (json.dumps(but(mtu=float("nan"))).encode(), (DECODE, CONF)),
    "deep nesting": (b"[" * 200_000, (DECODE, CONF)),
    "deep nesting inside": (b'{"name": "web", "x": ' + b'{"a":' * 100_000, (DECODE, CONF)),
    "a key twice": (b'{"name": "a", "name": "web", "type": "calico"}', (DECODE, CONF)),
    "10 MB": (long_conf(10_000_000), (DECODE, CONF)),
    "10 MB of nothing": (b" " * 10_000_000, (DECODE, CONF)),
    "half a surrogate": (raw('"we\\ud800b"'), (DECODE, CONF)),
    "a number with 10,000 digits": (raw("1" * 10_000), (DECODE, CONF)),
}

CONFS: dict[str, tuple[Mapping[str, Any], tuple[int, ...]]] = {
    "no name": (without("name"), (CONF,)),
    "no type": (without("type"), (CONF,)),
    "no ipam": (without("ipam"), (CONF,)),
    "an empty name": (but(name=""), (CONF,)),
    "a name with a slash": (but(name="we/b"), (CONF,)),
    "a name that climbs": (but(name="../../etc/passwd"), (CONF,)),
    "a name with a space": (but(name="we b"), (CONF,)),
    "a name with a newline inside": (but(name="we\nb"), (CONF,)),
    "a name with a newline behind": (but(name="web\n"), (CONF,)),
    "a name with a NUL": (but(name="web\0"), (CONF,)),
    "a name like a template": (but(name="{{7*7}}"), (CONF,)),
    "a name like a shell's": (but(name=f"$(touch {MARK})"), (CONF,)),
    "a name like nft's": (but(name='web" } ; flush ruleset ; #'), (CONF,)),
    "a name like an option": (but(name="--help"), (CONF,)),
    "a name like YAML's": (but(name="!!python/object"), (CONF,)),
    "a name that is a number": (but(name=5), (CONF, DECODE)),
    "a name that is a list": (but(name=["web"]), (CONF, DECODE)),
    "an unknown version": (but(cniVersion="9.9.9"), (VERSION,)),
    "a version like a template": (but(cniVersion="{{7*7}}"), (VERSION,)),
    "a version that is a number": (but(cniVersion=1), (CONF, DECODE)),
    "a prevResult": (but(prevResult={"cniVersion": "1.0.0", "ips": []}), (CONF,)),
    "ipam that is a string": (but(ipam="host-local"), (CONF, DECODE)),
    "ipam without a type": (but(ipam={"subnet": "10.1.0.0/24"}), (CONF,)),
    "ipam without a range": (but(ipam={"type": "host-local"}), (CONF,)),
    "ipam with empty ranges": (but(ipam={"type": "host-local", "ranges": []}), (CONF,)),
    "ranges that overlap": (but(ipam=pool("10.1.0.0/24", "10.1.0.128/25")), (CONF,)),
    "a subnet of words": (ipam(subnet="banana"), (CONF,)),
    "a subnet that is a number": (ipam(subnet=10), (CONF, DECODE)),
    "a subnet too narrow": (ipam(subnet="10.1.0.0/33"), (CONF,)),
    "a subnet with host bits": (ipam(subnet="10.1.0.1/24"), (CONF,)),
    "a subnet like a template": (ipam(subnet="{{7*7}}"), (CONF,)),
    "a subnet like a shell's": (ipam(subnet=f"$(touch {MARK})"), (CONF,)),
    "a range out of its subnet": (ipam(rangeStart="10.9.0.1"), (CONF,)),
    "a range the wrong way round": (ipam(rangeStart="10.1.0.9", rangeEnd="10.1.0.5"), (CONF,)),
    "a range of the other family": (ipam(rangeStart="fd00::1"), (CONF,)),
    "a gateway of words": (ipam(gateway="the door"), (CONF,)),
    "a route of words": (ipam(routes=[{"dst": "everywhere"}]), (CONF,)),
    "routes that are a string": (ipam(routes="0.0.0.0/0"), (CONF, DECODE)),
    "a subnet over the host's address": (ipam(subnet="192.0.2.0/24"), (CONF,)),
    "a subnet around the host's address": (ipam(subnet="192.0.0.0/16"), (CONF,)),
    "a subnet over the host's IPv6 address": (ipam(subnet="2001:db8:ffff::/64"), (CONF,)),
    "a subnet over an on-link route": (ipam(subnet="198.51.100.0/25"), (CONF,)),
    "the loopback's subnet": (ipam(subnet="127.0.0.0/8"), (CONF,)),
    "a multicast subnet": (ipam(subnet="224.0.0.0/8"), (CONF,)),
    "a link-local IPv6 subnet": (ipam(subnet="fe80::/64"), (CONF,)),
    "an mtu below zero": (but(mtu=-1), (CONF,)),
    "an mtu of words": (but(mtu="big"), (CONF, DECODE)),
    "an mtu of 10^300": (but(mtu=10**300), (CONF, DECODE)),
    "ipMasq that is a string": (but(ipMasq="yes"), (CONF, DECODE)),
    "a datastore nobody knows": (but(datastore_type="carrier-pigeon"), (UNSUPPORTED, CONF)),
    "a requested address of words": (but(runtimeConfig={"ips": ["there"]}), (CONF,)),
    "requested addresses in a string": (but(runtimeConfig={"ips": "10.1.0.9"}), (CONF,)),
    "a requested address outside": (but(runtimeConfig={"ips": ["10.7.7.7/24"]}), (OUTSIDE,)),
    "a requested broadcast address": (but(runtimeConfig={"ips": ["10.1.0.255/24"]}), (OUTSIDE,)),
    "a MAC of words": (but(runtimeConfig={"mac": "big"}), (CONF,)),
    "a multicast MAC": (but(runtimeConfig={"mac": "01:00:5e:00:00:01"}), (CONF,)),
    "an ipam plugin that is nowhere": (but(ipam={"type": "nowhere"}), (CONF, DELEGATE)),
    "an ipam plugin with a path": (but(ipam={"type": "../../../bin/sh"}), (CONF, DELEGATE)),
    "an ipam plugin like a shell's": (but(ipam={"type": f"$(touch {MARK})"}), (CONF, DELEGATE)),
    "an ipam plugin with a NUL": (but(ipam={"type": "a\0b"}), (CONF, DELEGATE)),
    "the plugin as its own ipam": (but(ipam={"type": "calico"}), (CONF, DELEGATE)),
}

ENVIRONMENTS: dict[str, tuple[dict[str, str | None], tuple[int, ...]]] = {
    "no container": ({"CNI_CONTAINERID": None}, (ENVIRONMENT,)),
    "an empty container": ({"CNI_CONTAINERID": ""}, (ENVIRONMENT,)),
    "a container with a slash": ({"CNI_CONTAINERID": "a/b"}, (ENVIRONMENT,)),
    "a container with a newline": ({"CNI_CONTAINERID": "c1\n"}, (ENVIRONMENT,)),
    "a container like a template": ({"CNI_CONTAINERID": "{{7*7}}"}, (ENVIRONMENT,)),
    "a container like a shell's": ({"CNI_CONTAINERID": f"$(touch {MARK})"}, (ENVIRONMENT,)),
    "no netns": ({"CNI_NETNS": None}, (ENVIRONMENT,)),
    "an empty netns": ({"CNI_NETNS": ""}, (ENVIRONMENT,)),
    "a netns that is gone": ({"CNI_NETNS": "/var/run/netns/gone"}, (CONTAINER, ENVIRONMENT)),
    "a netns that is a file": ({"CNI_NETNS": "/etc/passwd"}, (CONTAINER, ENVIRONMENT)),
    "a netns that is a folder": ({"CNI_NETNS": "/run"}, (CONTAINER, ENVIRONMENT)),
    "a netns of another kind": ({"CNI_NETNS": "/proc/1/ns/mnt"}, (CONTAINER, ENVIRONMENT)),
    "the host's own netns": ({"CNI_NETNS": "/proc/1/ns/net"}, (CONTAINER, ENVIRONMENT)),
    "a netns like a shell's": ({"CNI_NETNS": f"$(touch {MARK})"}, (CONTAINER, ENVIRONMENT)),
    "no interface": ({"CNI_IFNAME": None}, (ENVIRONMENT,)),
    "an interface of 16 bytes": ({"CNI_IFNAME": "e" * 16}, (ENVIRONMENT,)),
    "an interface with a slash": ({"CNI_IFNAME": "a/b"}, (ENVIRONMENT,)),
    "an interface with a space": ({"CNI_IFNAME": "a b"}, (ENVIRONMENT,)),
    "an interface with a newline": ({"CNI_IFNAME": "eth0\n"}, (ENVIRONMENT,)),
    "an interface of two dots": ({"CNI_IFNAME": ".."}, (ENVIRONMENT,)),
    "the loopback": ({"CNI_IFNAME": "lo"}, (ENVIRONMENT, LINK)),
    "args without a value": ({"CNI_ARGS": "IP"}, (ENVIRONMENT,)),
    "args that ask for words": ({"CNI_ARGS": "IP=banana"}, (ENVIRONMENT, CONF)),
    "args that ask outside": ({"CNI_ARGS": "IP=10.9.9.9"}, (OUTSIDE,)),
    "args that ask for the gateway": ({"CNI_ARGS": "IP=10.1.0.0"}, (OUTSIDE,)),
    "no command": ({"CNI_COMMAND": ""}, (ENVIRONMENT,)),
    "a command nobody knows": ({"CNI_COMMAND": "DESTROY"}, (ENVIRONMENT,)),
    "a command in small letters": ({"CNI_COMMAND": "add"}, (ENVIRONMENT,)),
}


NAMED = {"a byte order mark", "utf-16", "NaN", "a key twice"}
"""Those of STDIN that no other reader takes, and that say all the same which network they are."""


def nothing_happened(lab: Lab, inside: str = "c1") -> None:
    assert lab.left() == {}
    assert lab.links(inside=inside) == {"lo"}
    assert not lab.path(MARK).exists()


def no_template_was_rendered(reply: Reply) -> None:
    assert b"49" not in reply.stdout.replace(b"{{7*7}}", b""), reply


@pytest.mark.parametrize("case", STDIN)
def test_stdin_that_is_no_conf(lab: Lab, cni: Caller, case: str) -> None:
    stdin, codes = STDIN[case]
    cni("ADD", stdin, netns=lab.netns("c1")).refused(*codes)
    nothing_happened(lab)


@pytest.mark.parametrize("case", STDIN)
def test_a_del_is_refused_only_where_nobody_can_tell_whose_it_is(lab: Lab, cni: Caller, case: str) -> None:
    stdin, codes = STDIN[case]
    reply = cni("DEL", stdin, netns=lab.netns("c1"))
    if case in NAMED:
        assert (reply.status, reply.stdout) == (0, b""), reply
    else:
        reply.refused(*codes)
    nothing_happened(lab)


@pytest.mark.parametrize("case", CONFS)
def test_a_conf_that_does_not_hold(lab: Lab, cni: Caller, case: str) -> None:
    lab.out("ip", "route", "add", "198.51.100.0/24", "dev", "out0")
    wrong, codes = CONFS[case]
    reply = cni("ADD", wrong, netns=lab.netns("c1"))
    reply.refused(*codes)
    no_template_was_rendered(reply)
    nothing_happened(lab)


@pytest.mark.parametrize("case", ENVIRONMENTS)
def test_an_environment_that_does_not_hold(lab: Lab, cni: Caller, case: str) -> None:
    lab.netns("c1")
    changed, codes = ENVIRONMENTS[case]
    reply = cni("ADD", WEB, **{"netns": "/var/run/netns/c1", **changed})
    reply.refused(*codes)
    no_template_was_rendered(reply)
    nothing_happened(lab)
    assert "10.1." not in lab.out("ip", "-4", "address"), "the host's own netns was touched"


@pytest.mark.parametrize("key", ["nodename", "profiles_dir", "log_level", "somebody_s_key"])
@pytest.mark.parametrize("text", ["{{7*7}}", f"$(touch {MARK})", "a\nb", "a\0b", "%s%n"])
def test_odd_text_in_any_key_is_never_executed(lab: Lab, cni: Caller, key: str, text: str) -> None:
    """Refused or taken as plain text: either is right, anything between is not."""
    netns = lab.netns("c1")
    reply = cni("ADD", but(**{key: text}), netns=netns)
    if reply.status:
        no_template_was_rendered(reply)
        assert reply.refused()["code"] != INTERNAL
    else:
        cni.delete(but(**{key: text}), netns=netns)
    nothing_happened(lab)
