"""The clusters that reviewed confs name in; what of them differs from the review, and what is open, out."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from functools import cache

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Network
from calico_rkt.plugin.attest.cluster import FELIX_S_OWN, felix_lacks, felix_runs, profile_differs
from calico_rkt.plugin.attest.outcome import Attestation, Difference
from calico_rkt.plugin.attest.reading import read_kernel
from calico_rkt.plugin.enforce import felix_chains
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.publish.cluster import Cluster
from calico_rkt.plugin.publish.datastores import clusters, opened_cluster


def in_clusters(confs: Mapping[str, NetConf], networks: Mapping[str, Network]) -> Attestation:
    """Confs and networks by name; those of this host's own store are passed over."""
    differences: list[Difference] = []
    open_: list[str] = []
    endpoints = count = 0
    for known in clusters(confs):
        count += len(known)
        try:
            with opened_cluster(known) as cluster:
                endpoints += len(_ours(cluster))
                for one in _cluster(cluster, networks):
                    if isinstance(one, Difference):
                        differences.append(one)
                    else:
                        open_.append(one)
        except CniError as e:
            open_.append(f"networks {', '.join(sorted(known))}: {e.msg}")
    return Attestation(tuple(differences), tuple(dict.fromkeys(open_)), endpoints, count)


def _ours(cluster: Cluster) -> dict[str, set[int]]:
    """The host ends of this host's endpoints, with the IP versions of each."""
    found = (e for e in cluster.store.endpoints() if e.result)
    return {e.host_ifname: {a.version for a in e.addresses} for e in found}


def _cluster(cluster: Cluster, networks: Mapping[str, Network]) -> Iterator[Difference | str]:
    for name in sorted(cluster.known):
        text, _ = cluster.store.profiles.stored(object_id(name))
        yield from profile_differs(networks[name], text, cluster.name, cluster.target)
    for endpoint in cluster.store.endpoints():
        if endpoint.result and endpoint.key.network in cluster.known:
            for words in cluster.store.differs(endpoint):
                yield Difference(words, "the datastore says so", "this host's record of the attachment says otherwise")
    yield from cluster.warnings()
    ours = _ours(cluster)
    versions = {v for found in ours.values() for v in found}
    for version in felix_chains.missing(versions) if versions else ():
        what = f"Felix does not police IPv{version} on this host"
        yield Difference(what, "passes, whatever it is", "profiles decide about what goes from and to endpoints")
    if ours and not felix_runs():
        yield "Felix does not run on this host: what it has in the kernel stays as it is"
    if ours:
        yield from felix_lacks(read_kernel().rules, ours, _legacy)
        yield FELIX_S_OWN


@cache
def _legacy() -> str:
    try:
        done = subprocess.run(["iptables-legacy", "-S"], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout
