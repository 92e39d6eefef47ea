"""The clusters that confs name in; those that are away, refuse us or have another time, out."""

from __future__ import annotations

import http.client
import shlex
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.plugin.doctor.finding import ERROR, WARNING, Check, Finding, Place
from calico_rkt.plugin.doctor.host import Host
from calico_rkt.plugin.enforce import felix_chains
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.publish.datastores import clusters as by_cluster
from calico_rkt.plugin.store.access import Access, access_of

_PATIENCE = 3.0
_SKEW = 5.0
"""Seconds: what HTTP's Date says is rounded, and an answer takes a while."""


def clusters(host: Host) -> Check:
    """Whether they answer, and what they say of themselves."""
    state = host.state
    if state is None:
        return
    for away in state.away:
        path = host.decided.workspace.conf_paths.get(away.networks[0], "")
        access = access_of(host.decided.known[away.networks[0]])
        words = f"{away.error.msg}{': ' if away.error.details else ''}{'; '.join(away.error.details.split(chr(10)))}"
        follows = f"nothing is attached in {', '.join(away.networks)}; what is removed is noted, and given back later"
        yield Finding("CR970", ERROR, words, follows, _curl(access), Place(path) if path else None)
    for words in state.clusters:
        yield Finding(
            "CR971",
            WARNING,
            words,
            "containers in its networks may not get an address or a policy",
            "calico-rkt status",
        )
    known = host.decided.known
    away_now = {n for a in state.away for n in a.networks}
    for there in by_cluster(known):
        if not away_now & there.keys():
            yield from _clock(next(iter(there.values())))
            yield from _felix(there, host)


def _curl(access: Access) -> str:
    files = (("--cacert", access.ca_file), ("--cert", access.cert_file), ("--key", access.key_file))
    options = [word for option, file in files if file for word in (option, file)]
    return shlex.join(["curl", "-sS", *options, f"{access.endpoints[0].rstrip('/')}/health"])


def _clock(conf: NetConf) -> Check:
    """By the Date of its HTTP; members that want TLS are left to their certificates, which say so of a wrong clock."""
    for member in access_of(conf).endpoints:
        where = urlsplit(member)
        if where.scheme != "http" or not where.hostname:
            continue
        line = http.client.HTTPConnection(where.hostname, where.port or 80, timeout=_PATIENCE)
        try:
            line.request("GET", "/version")
            date = line.getresponse().getheader("Date")
            ahead = time.time() - parsedate_to_datetime(date or "").timestamp()
        except (OSError, ValueError, http.client.HTTPException):
            continue
        finally:
            line.close()
        if abs(ahead) > _SKEW:
            way = "ahead of" if ahead > 0 else "behind"
            message = f"this host's clock is {abs(ahead):.0f} s {way} etcd's at {member}"
            follows = "certificates and tokens may count as expired, and who changed what last is not to be told"
            yield Finding("CR972", WARNING, message, follows, "date -u; timedatectl set-ntp true")
        else:
            yield f"etcd at {member} has this host's time"


def _felix(there: dict[str, NetConf], host: Host) -> Check:
    wanted = [c for c in there.values() if c.require_felix]
    versions = {r.subnet.version for c in wanted for ranges in c.ipam.ranges for r in ranges}
    if not wanted or host.nft_problem:
        return
    try:
        without = felix_chains.missing(versions or {4})
    except CniError:
        return
    if without:
        message = f"Felix does not police IPv{' and IPv'.join(map(str, without))} on this host"
        follows = f"every ADD in {', '.join(c.name for c in wanted)} is refused: a container would be open to everybody"
        yield Finding("CR973", ERROR, message, follows, "docker ps -a --filter name=calico-node; calicoctl node status")
    else:
        yield "Felix polices this host"
