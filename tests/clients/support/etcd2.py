"""A lab in, a cluster of 2015 in it out: etcd's v2 API, as calico/node left it then, read and written with curl."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import Any

from tests import state_log
from tests.clients.support.etcd import NODE, Etcd, cluster_conf
from tests.clients.support.lab import Lab

V1 = "/calico/v1"
HOSTS = f"{V1}/host/"
PROFILE = f"{V1}/policy/profile/net1"
TAGS, RULES = f"{PROFILE}/tags", f"{PROFILE}/rules"
POOLS = f"{V1}/ipam/v4/pool/"
ASSIGNED = f"{V1}/ipam/v4/assignment/10.1.0.0-16"
STATE = "/run/calico-rkt/etcdv2/state.log"
"""This host's records of what it has in such clusters."""


class OldEtcd(Etcd):
    """One member, spoken to by its v2 API; curl_flags are for TLS and users."""

    def __init__(self, lab: Lab, *args: Any, **kwargs: Any) -> None:
        super().__init__(lab, *args, **kwargs)
        self.curl_flags: tuple[str, ...] = ()

    def curl(self, path: str, *argv: str, stdin: bytes = b"") -> dict[str, Any]:
        """What a request of the v2 API answered."""
        done = self.lab.run("curl", "-sS", *self.curl_flags, *argv, f"{self.url}{path}", stdin=stdin)
        assert done.returncode == 0, done
        loaded: dict[str, Any] = json.loads(done.stdout or "{}")
        return loaded

    def set(self, key: str, value: object) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        done = self.curl(f"/v2/keys{key}", "-X", "PUT", "--data-urlencode", "value@-", stdin=text.encode())
        assert "node" in done, done

    def remove(self, key: str) -> None:
        assert "node" in self.curl(f"/v2/keys{key}?recursive=true", "-X", "DELETE")

    def leaves(self, prefix: str = "/calico") -> dict[str, str]:
        """Every key below a folder with its value; empty folders with None."""
        found = self.curl(f"/v2/keys{prefix}?recursive=true&quorum=true")
        return dict(_leaves(found["node"])) if "node" in found else {}

    def values(self, prefix: str = "/calico") -> dict[str, Any]:
        """Every key whose value is JSON, but for plain words, with it."""
        return {k: json.loads(v) for k, v in self.leaves(prefix).items() if v and v[0] in "{["}

    def endpoints(self, node: str = "") -> dict[str, Any]:
        return {k: v for k, v in self.values(HOSTS + node).items() if "/endpoint/" in k}

    def ready(self, *nodes: str, bgp: str = "") -> None:
        """What calico/node leaves at its first start. bgp: the address that it says of each host, where it says any."""
        self.set(f"{V1}/Ready", "true")
        for name in nodes or (NODE,):
            self.set(f"{HOSTS}{name}/bird_ip", bgp or "192.0.2.1")
            self.set(f"{HOSTS}{name}/config/marker", "created")
            if bgp:
                self.set(f"/calico/bgp/v1/host/{name}/ip_addr_v4", bgp)
                self.set(f"/calico/bgp/v1/host/{name}/ip_addr_v6", "")


def _leaves(node: dict[str, Any]) -> Any:
    if node.get("dir") and node.get("nodes"):
        for child in node["nodes"]:
            yield from _leaves(child)
    else:
        yield node["key"], node.get("value")


def old_conf(etcd: Etcd | str, network: str = "net1", subnet: str = "10.1.0.0/16", **keys: Any) -> dict[str, Any]:
    """A conf of this plugin for a cluster of 2015, without Felix."""
    return cluster_conf(etcd, network, subnet, **{"datastore_type": "etcdv2", **keys})


def old_left_in(etcd: OldEtcd) -> list[str]:
    """What attachments left in the cluster: endpoints, their folders, and addresses."""
    return [
        key
        for key, value in etcd.leaves().items()
        if ("/workload/cni/" in key and key.startswith(HOSTS)) or ("/assignment/" in key and value is not None)
    ]


def old_inconsistent(etcd: OldEtcd) -> list[str]:
    """What doesn't add up: each address has an endpoint of the same attachment, and the other way round."""
    keys = etcd.leaves()
    pools = [ip_network(json.loads(v)["cidr"]) for k, v in keys.items() if "/pool/" in k and v]
    held = {}
    problems = []
    for key, text in keys.items():
        if "/endpoint/" not in key or not text:
            continue
        value = json.loads(text)
        for net in (*value["ipv4_nets"], *value["ipv6_nets"]):
            address = net.partition("/")[0]
            if address in held:
                problems.append(f"{address} twice")
            held[address] = value["calico_rkt"]["attachment"]
    taken = {k.rpartition("/")[2]: json.loads(v)["attachment"] for k, v in keys.items() if "/assignment/" in k and v}
    pooled = {a: n for a, n in held.items() if any(ip_address(a) in p for p in pools)}
    if pooled != taken:
        problems.append(f"endpoints {pooled}, assignments {taken}")
    return problems


def records(lab: Lab) -> list[str]:
    """This host's own records of attachments in such clusters."""
    if not lab.path(STATE).exists():
        return []
    found = state_log.entries(lab.path(STATE).read_bytes())
    return sorted(json.loads(key)[1] for table, key in found if table == "e")
