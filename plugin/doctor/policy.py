"""How this host's networks and its table stand in; what of the policy is not in force, out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence

from calico_rkt.compiler.diagnostics import counted, cut_short
from calico_rkt.plugin.doctor.cures import RESTORE
from calico_rkt.plugin.doctor.finding import ERROR, WARNING, Check, Finding, Place
from calico_rkt.plugin.doctor.host import Host
from calico_rkt.plugin.enforce.differences import is_gone, is_mendable, is_unfit, is_unrecorded
from calico_rkt.plugin.enforce.nft.table import Standing
from calico_rkt.plugin.link.host_ends import ELSEWHERE, STRAY
from calico_rkt.plugin.publish.changes import NetworkState
from calico_rkt.plugin.publish.host_state import HostState, networks_in
from calico_rkt.plugin.publish.local import LOCAL
from calico_rkt.plugin.store.folders import folders

_SHOWN = 3
_EDITED = ("edited", "not ours")
_FORWARDING = re.compile(r"net/(ipv4/ip_forward|ipv6/conf/all/forwarding) is off\Z")
_WITH_IT = re.compile(r"net/(ipv[46])/conf/\S+/forwarding is off\Z")
"""What goes off and on with the host's own."""
_EACH_ITS_OWN = (
    "cd /proc/sys/net/ipv4/conf && for i in *; do case $i in all|crk*|cali*) ;; *) echo 2 >$i/rp_filter ;; esac; done; "
    "echo 0 >all/rp_filter"
)
"""Host ends are strict, others as they were: a strict one loses what comes by another way than it goes."""
_OF_TABLE = {
    Standing.NONE: "packets of containers pass unjudged",
    Standing.BROKEN: "packets of containers may pass unjudged",
    Standing.CLOSED: "no container reaches anybody",
    Standing.NEWER: "nothing is attached or changed by this build",
    Standing.HELD: "nothing can be attached or changed",
}


_ADVICE = {Standing.NEWER: "use the newer build", Standing.HELD: "end the process that holds it"}


def networks(host: Host) -> Check:
    """Profiles that are not what the files compile to."""
    state = host.state
    for name, s in state.wrong if state else ():
        yield from _network(name, s)
    for s in _unpublished(state) if state else ():
        yield from _closed(s, has_conf=s.network in host.decided.known)
    if state and not state.wrong and not _unpublished(state):
        yield f"{counted(len(state.networks), 'network')}: what is published is what the files say"


def _unpublished(state: HostState) -> list[NetworkState]:
    """Networks of endpoints here for which nothing is published any more."""
    unfit = {i for line in state.differs if is_unfit(line) for i in networks_in(line)}
    return [s for name, s in state.networks if (name, s.state) == (LOCAL, "not published") and s.network_id in unfit]


def _closed(s: NetworkState, *, has_conf: bool) -> Check:
    message = f"{counted(s.endpoints, 'endpoint')} of network {s.network!r}, and nothing is published for it"
    follows = "no restore builds its rules: they are cut off, or will be by the next one"
    if has_conf:
        yield Finding("CR947", ERROR, message, follows, f"calico-rkt apply {shlex.quote(s.network)}")
    else:
        advice = f"put the conf of {s.network} back, then calico-rkt apply; or end its containers, then calico-rkt gc"
        yield Finding("CR947", ERROR, message, follows, advice, advice=True)


def _network(name: str, s: NetworkState) -> Check:
    network = s.network or s.network_id
    of = "" if name == LOCAL else f" in {name}"
    path = str(folders()[1] / "profiles" / f"{s.network_id}.yaml") if name == LOCAL else ""
    place = Place(path) if path else None
    if s.state == "stale":
        message = f"the published profile of network {network!r}{of} is not what the files compile to"
        follows = "the old rules are in force, and the files that people review are not"
        yield Finding("CR942", ERROR, message, follows, f"calico-rkt apply {shlex.quote(network)}", place)
    elif s.state in _EDITED:
        message = f"the published profile of network {network!r}{of} was edited by hand, or is not ours"
        follows = (
            "it is used for nothing: no container can be started there, and after a restore those that run are cut off"
        )
        yield Finding("CR943", ERROR, message, follows, f"calico-rkt apply --take-over {shlex.quote(network)}", place)
    elif s.state == "unusable":
        message = s.why or f"the files of network {network!r}{of} can't be used"
        follows = (
            "what is published stays in force, and nothing new can be; where nothing is, no container can be started"
        )
        yield Finding("CR946", ERROR, message, follows, "calico-rkt check")


def forwarding(host: Host) -> Check:
    """Forwarding that ADD switched on, and somebody off."""
    off = _off(host.state.differs if host.state else ())
    for name in off:
        version = "IPv6" if "ipv6" in name else "IPv4"
        follows = f"no container reaches anything by {version} but this host"
        message = f"forwarding is off where containers need it: net/{name}"
        yield Finding("CR920", ERROR, message, follows, f"echo 1 >/proc/sys/net/{name}", harmless=True)
    if host.state and not off and not any(map(is_unrecorded, host.state.differs)):
        yield "forwarding is on where containers need it"


def _off(differs: Sequence[str]) -> list[str]:
    found = (_FORWARDING.search(line) for line in differs)
    return list(dict.fromkeys(m[1] for m in found if m))


def _goes_with(line: str, off: Collection[str]) -> bool:
    found = _WITH_IT.search(line)
    return found is not None and found[1] in off


def table(host: Host) -> Check:
    """The table as a whole, or else what in the kernel is not as recorded and published."""
    state = host.state
    if state is None:
        return
    off = {name[:4] for name in _off(state.differs)}
    rest = [line for line in state.differs if not _FORWARDING.search(line) and not _goes_with(line, off)]
    if any(map(is_unrecorded, rest)):  # which is told by who looks at the records
        yield from _without_records(state.standing, [line for line in rest if not is_unrecorded(line)])
        return
    gone = [line for line in rest if is_gone(line)]
    told = _told(state)
    rest = [line for line in rest if not is_gone(line) and not networks_in(line) & told]
    yield from _by_hand(rest)
    rest = [line for line in rest if is_mendable(line) or is_unfit(line)]
    if state.standing in (Standing.BROKEN, Standing.CLOSED, Standing.NEWER, Standing.HELD) or (
        rest and state.standing is Standing.NONE
    ):
        follows = _OF_TABLE[state.standing]
        message = f"the nftables table inet calico_rkt is {state.standing.value}"
        mends = state.standing in (Standing.BROKEN, Standing.CLOSED, Standing.NONE)
        advice = _ADVICE.get(state.standing, "")
        yield Finding("CR940", ERROR, message, follows, RESTORE if mends else advice, harmless=mends, advice=not mends)
    elif rest:
        follows = "a container has other rules than its network's, or none, or is not reached"
        yield Finding("CR941", ERROR, f"the kernel differs: {_few(rest)}", follows, RESTORE, harmless=True)
    else:
        there = state.standing is not Standing.NONE
        yield "the table is as recorded and published" if there else "there is no table, and nothing needs one"
    if gone:
        follows = "they keep addresses, and nobody reaches them"
        yield Finding("CR944", WARNING, f"endpoints without their link: {_few(gone)}", follows, "calico-rkt gc")


def _without_records(standing: Standing, rest: Sequence[str]) -> Check:
    """What can be seen of the table where nobody knows whose rules it should have; no restore does anything then."""
    advice = f"put {folders()[0] / 'state.log'} back, then {RESTORE}; or end those containers, then {RESTORE}"
    if standing in (Standing.NEWER, Standing.HELD):
        advice = _ADVICE[standing]
    if standing in _OF_TABLE:
        message = f"the nftables table inet calico_rkt is {standing.value}"
        yield Finding("CR940", ERROR, message, _OF_TABLE[standing], advice, advice=True)
    elif rest:
        follows = "containers have other rules than were published"
        yield Finding("CR941", ERROR, f"the kernel differs: {_few(rest)}", follows, advice, advice=True)
    else:
        yield "the table is whole, with the rules that are published; whose they should be nobody knows"


def _told(state: HostState) -> frozenset[str]:
    """The networks of which networks() says why the kernel's rules are none of a published profile.

    Of any other the kernel is compared with what is published, also where the files say something else by now.
    """
    unfit = {i for line in state.differs if is_unfit(line) for i in networks_in(line)}
    wrong = (s for name, s in state.wrong if name == LOCAL)
    told = {s.network_id for s in wrong if s.state in _EDITED or (s.state == "unusable" and s.network_id in unfit)}
    return frozenset(told | {s.network_id for s in _unpublished(state)})


def _by_hand(lines: Sequence[str]) -> Check:
    """What no restore puts right."""
    if strays := [line for line in lines if STRAY in line]:
        advice = "end its container, and where it stays all the same: ip link del"
        message, follows = f"the kernel differs: {_few(strays)}", "whoever is at its other end reaches nobody"
        yield Finding("CR941", ERROR, message, follows, advice, advice=True)
    if elsewhere := [line for line in lines if ELSEWHERE in line]:
        advice = "ip route get ADDRESS and ip rule name that route or rule: who made it has to take it away"
        message, follows = f"the kernel differs: {_few(elsewhere)}", "packets for the endpoint go to somebody else"
        yield Finding("CR941", ERROR, message, follows, advice, advice=True)


def _few(lines: Sequence[str]) -> str:
    return cut_short(lines, _SHOWN, "; ")


def firewalls(host: Host) -> Check:
    """Others that drop what ours lets through."""
    state = host.state
    for found in state.blocked if state else ():
        follows = "what policy allows does not arrive, since every table has to let it pass"
        yield Finding("CR930", ERROR, found.what, follows, found.mend)
    if state and not state.blocked:
        yield "no other firewall drops what is forwarded for containers"


def settings(host: Host) -> Check:
    """Sysctls of the host that weaken what its ends of containers promise."""
    for words in host.state.sysctls if host.state else ():
        follows = "a container may fill the host's neighbour table"
        yield Finding("CR921", WARNING, words, follows, _EACH_ITS_OWN)
