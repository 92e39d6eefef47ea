"""Where a host keeps its addresses and policy: a kind of datastore, or of ipam, in; its confs, and who runs it, out."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from tests.clients.support.etcd import Etcd, cluster_conf
from tests.clients.support.etcd2 import OldEtcd, old_conf
from tests.clients.support.ipam_books import problems
from tests.clients.support.lab import PLUGINS, REFERENCE_PLUGINS, Lab, conf, pool

URL = "http://127.0.0.1:2379"
WEB = conf("web", pool("10.1.0.0/28", "fd00:1::/124"), cni="1.1.0")
OTHER = conf("other", pool("10.2.0.0/28"), cni="1.1.0")


class World(ABC):
    """web: the network that all endpoints are in; other: one that comes and goes.

    closes: whether the rules here keep everybody in, so that packets are sent all the time; told: what the host's eyes
    are told to look at beside the host itself.
    """

    name: str
    web: Mapping[str, Any]
    other: Mapping[str, Any]
    closes = True
    datastore = "local"
    told = ""
    guards_stay = False
    """Whether an address that was given back keeps a route to nowhere, as no range is known to be this network's."""

    def begin(self, lab: Lab) -> None:  # noqa: B027 - most have nothing to start
        """What has to run there."""

    @abstractmethod
    def in_force(self, looked: Mapping[str, list[str]]) -> list[str]:
        """What of all that is seen is policy."""

    def problems(self, _dump: str) -> list[str]:
        """What of its books, which are seen as that text, doesn't add up."""
        return []


class Local(World):
    name, web, other = "local", WEB, OTHER

    def in_force(self, looked: Mapping[str, list[str]]) -> list[str]:
        return looked["rules"]


class Delegated(Local):
    """Addresses are another program's: CNI's host-local by a name that is not this plugin's own."""

    name, guards_stay = "ipam", True
    web = conf(
        "web", {"type": "leases", "ranges": [[{"subnet": "10.1.0.0/28"}], [{"subnet": "fd00:1::/124"}]]}, cni="1.0.0"
    )

    def begin(self, lab: Lab) -> None:
        lab.path(PLUGINS, "leases").symlink_to(f"{REFERENCE_PLUGINS}/host-local")


class Etcd3(World):
    """A Calico cluster of one member; who enforces there is Felix, and there is none."""

    name, datastore, told, closes = "etcd3", "etcdv3", "etcd3", False
    web = cluster_conf(URL, "web", ipam=pool("10.1.0.0/24", "fd00:1::/120"), cni="1.1.0")
    other = cluster_conf(URL, "other", ipam=pool("10.2.0.0/24"), cni="1.1.0")

    def begin(self, lab: Lab) -> None:
        Etcd(lab).start().bootstrap()

    def in_force(self, looked: Mapping[str, list[str]]) -> list[str]:
        return [row for row in looked["etcd"] if "profile" in row]

    def problems(self, _dump: str) -> list[str]:
        return problems(json.loads(_dump))


class Etcd2(Etcd3):
    """A cluster of 2015."""

    name, datastore, told = "etcd2", "etcdv2", "etcd2"
    web = old_conf(URL, "web", ipam=pool("10.1.0.0/24", "fd00:1::/120"), cni="1.1.0")
    other = old_conf(URL, "other", ipam=pool("10.2.0.0/24"), cni="1.1.0")

    def begin(self, lab: Lab) -> None:
        etcd = OldEtcd(lab)
        etcd.start()
        etcd.ready()

    def problems(self, _dump: str) -> list[str]:
        return []


LOCAL, DELEGATED, ETCD3, ETCD2 = Local(), Delegated(), Etcd3(), Etcd2()
