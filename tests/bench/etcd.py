"""The attach path with etcd as its datastore, beside ptp with host-local: round trips to a member on this host."""

from __future__ import annotations

from tests.bench import cluster
from tests.bench.host import agent, conf
from tests.bench.report import Report, Row
from tests.bench.timing import pairs

ROUNDS = 30
BOUNDS = {"etcdv3": 0.7, "etcdv2": 1.0}


def rows(report: Report) -> None:
    with agent(), cluster.etcd() as missing:
        if missing:
            report.lacks(missing)
            return
        for kind, ours, theirs in (("etcdv3", "10.97.0.0/16", 98), ("etcdv2", "10.99.0.0/16", 100)):
            mine = conf("calico", f"bench-{kind}", ours, **cluster.KEYS, datastore_type=kind)
            peer = conf("ptp", f"peer-{kind}", f"10.{theirs}.0.0/16")
            add, peer_add, delete, peer_delete = pairs(mine, peer, f"{kind}-", ROUNDS)
            report.say(Row(f"ADD, {kind} / ptp with host-local", add, peer_add, BOUNDS[kind]))
            report.say(Row(f"DEL, {kind} / ptp with host-local", delete, peer_delete, 1.0))
