"""The encodings of netlink messages, against those of pyroute2 for the same requests."""

from __future__ import annotations

import struct
from ipaddress import ip_address, ip_network
from socket import AF_INET, AF_INET6

import pytest
from pyroute2.iproute.linux import IPBatch

from calico_rkt.plugin.link import messages as veth

MAC = "02:11:22:33:44:55"
QUEUES = {"num_tx_queues": 1, "num_rx_queues": 1}
ADDRESSES = {
    "v4": [ip_address("10.1.0.5")],
    "v6": [ip_address("fd00::5")],
    "both": [ip_address("10.1.0.5"), ip_address("fd00::5")],
    "two of each": [ip_address(a) for a in ("10.1.0.5", "fd00::5", "10.2.0.255", "2001:db8::ffff")],
}
ROUTES = {
    "none": (),
    "some": tuple(map(ip_network, ("10.1.0.0/16", "fd00::/64", "192.0.2.1/32", "2001:db8::1/128", "10.64.0.0/10"))),
}


def body(messages: bytes) -> bytes:
    """Messages without their sender's port, which the kernel fills in and pyroute2 sets to the process's id."""
    out = bytearray(messages)
    offset = 0
    while offset < len(out):
        out[offset + 8 : offset + 16] = bytes(8)
        offset += (int.from_bytes(out[offset : offset + 4], "little") + 3) & ~3
    return bytes(out)


def up(index, ipv4):
    """What brings a link up, behind an IFLA_AF_SPEC that pyroute2 does not encode: see linux/if_link.h."""
    batch = IPBatch()
    batch.link("set", index=index)
    batch.link("set", index=index, state="up")
    plain = bytes(batch.batch)
    message, state = bytearray(plain[: len(plain) // 2]), plain[len(plain) // 2 :]
    if not ipv4:
        return state
    inner = b"".join(struct.pack("=HHI", 8, kind, value) for kind, value in ipv4.items())
    for kind in (1, AF_INET, 26):  # IFLA_INET_CONF in the family's in IFLA_AF_SPEC
        inner = struct.pack("=HH", len(inner) + 4, kind | 0x8000) + inner
    message += inner
    message[:4] = struct.pack("=I", len(message))
    return bytes(message) + state


def silent(index):
    """No address of a link's own accord, in an IFLA_AF_SPEC that pyroute2 does not encode: see linux/if_link.h."""
    batch = IPBatch()
    batch.link("set", index=index)
    message = bytearray(batch.batch)
    inner = struct.pack("=HHBxxx", 5, 8, 1)  # IFLA_INET6_ADDR_GEN_MODE: IN6_ADDR_GEN_MODE_NONE
    for kind in (AF_INET6, 26):
        inner = struct.pack("=HH", len(inner) + 4, kind | 0x8000) + inner
    message += inner
    message[:6] = struct.pack("=IH", len(message), 19)
    return bytes(message)


def destination(net):
    family = {"family": AF_INET6} if net.version == 6 else {}
    return {"dst": str(net) if net.prefixlen else "default", **family}


@pytest.mark.parametrize("mtu", [68, 1500, 65535])
@pytest.mark.parametrize("alias", ["calico-rkt 0123456789abcdef eth0 web c1", "x" * 254, "calico-rkt ä"])
@pytest.mark.parametrize("group", [0, 541241711])
def test_a_pair_is_encoded_as_pyroute2_does(mtu, alias, group):
    batch = IPBatch()
    peer = {"ifname": "e", "net_ns_fd": 7, "address": MAC, "mtu": mtu, **QUEUES}
    ours = {"ifname": "crk0123456789ab", "address": veth.HOST_MAC, "mtu": mtu, "group": group, **QUEUES}
    batch.link("add", **ours, kind="veth", peer=peer)
    batch.link("set", ifname="crk0123456789ab", ifalias=alias)
    mac, *numbers = bytes.fromhex(MAC.replace(":", "")), *(struct.pack("=I", n) for n in (7, mtu, group))
    assert body(veth.pair(b"crk0123456789ab", "e", mac, *numbers, alias.encode())) == body(batch.batch)


@pytest.mark.parametrize("metric", [0, 2051, 70_000])
@pytest.mark.parametrize("more", ROUTES.values(), ids=ROUTES)
@pytest.mark.parametrize("addresses", ADDRESSES.values(), ids=ADDRESSES)
def test_the_container_s_end_is_encoded_as_pyroute2_does(addresses, more, metric):
    priority = {"priority": metric} if metric else {}
    routes = veth.routes_inside((a.version for a in addresses), more)
    four = any(a.version == 4 for a in addresses)
    batch = IPBatch()
    for address in addresses:
        flags = {"flags": 2} if address.version == 6 else {}
        batch.addr("add", index=300, address=str(address), prefixlen=address.max_prefixlen, **flags)
    for version in sorted({a.version for a in addresses}):
        gateway = str(veth.GATEWAYS[version])
        batch.neigh("add", dst=gateway, lladdr=veth.HOST_MAC, ifindex=300, state=0x80)
        if version == 4:
            batch.route("add", dst=f"{gateway}/32", oif=300, scope=253, **priority)
    for net in routes:
        gateway = str(veth.GATEWAYS[net.version])
        batch.route("add", **destination(net), gateway=gateway, oif=300, flags=4, **priority)
        if metric and not net.prefixlen:
            batch.route("add", **destination(net), gateway=gateway, oif=300, flags=4, table=metric)
    for address in addresses if metric else ():
        batch.rule("add", src=str(address), src_len=address.max_prefixlen, table=metric, priority=metric)
    quiet = b"" if any(a.version == 6 for a in addresses) else body(silent(300))
    expected = quiet + body(up(300, {22: 1} if four else {})) + body(batch.batch)  # arp_notify
    assert body(veth.inside(300, addresses, routes, metric, table=metric)) == expected


@pytest.mark.parametrize("addresses", ADDRESSES.values(), ids=ADDRESSES)
def test_the_host_s_end_is_encoded_as_pyroute2_does(addresses):
    four = any(a.version == 4 for a in addresses)
    batch = IPBatch()
    if four:
        batch.neigh("replace", dst=str(veth.GATEWAYS[4]), ifindex=9, flags=0x8, state=0x80)
    if any(a.version == 6 for a in addresses):
        gateway = str(veth.GATEWAYS[6])
        batch.addr("replace", index=9, address=gateway, prefixlen=64, family=AF_INET6, flags=2)
    for address in addresses:
        batch.neigh("replace", dst=str(address), lladdr=MAC, ifindex=9, state=0x4, flags=0x10)
        batch.route("add", **destination(ip_network(address)), oif=9, scope=253)
    quiet = body(silent(9)) if any(a.version == 6 for a in addresses) else b""
    expected = quiet + body(up(9, {1: 1, 8: 1} if four else {})) + body(batch.batch)  # forwarding, rp_filter
    assert body(veth.outside(9, MAC, addresses)) == expected


def test_a_removal_is_encoded_as_pyroute2_does():
    batch = IPBatch()
    batch.link("del", index=70_000)
    assert body(veth.removal(70_000)) == body(batch.batch)


@pytest.mark.parametrize("net", ["10.1.0.0/24", "10.1.0.7/32", "fd00::/64", "fd00::7/128"])
@pytest.mark.parametrize("add", [True, False])
def test_a_guard_is_encoded_as_pyroute2_does(net, add):
    batch = IPBatch()
    route = {**destination(ip_network(net)), "type": "unreachable", "priority": 4294967295, "proto": 4}
    batch.route("add" if add else "del", **route)
    assert body(veth.unreachable_route(ip_network(net), add=add)) == body(batch.batch)
