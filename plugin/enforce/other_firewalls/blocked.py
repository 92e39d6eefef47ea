"""The host's other firewalls in; out, which of them drop forwarded packets of ours by default, and what mends it.

An accept in our table ends only our table's part: what Docker, ufw or a firewall of the host's own then drops stays
dropped. A finding means that a new flow which no rule there names is dropped; rules on ports or addresses are the
host's own business and are not judged.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from calico_rkt.plugin.enforce.nft import libnftables, transactions
from calico_rkt.plugin.enforce.nft.elements import OURS, TABLE, TRACING
from calico_rkt.plugin.enforce.other_firewalls.netdev import DeviceChain, device_chains
from calico_rkt.plugin.enforce.other_firewalls.read import Forwarding, Told, from_iptables, from_nft
from calico_rkt.plugin.link.state import PREFIX

_ASKED = {**transactions.FAMILIES, "netdev": transactions.BELOW_IP["netdev"]}
_DEEPEST = 16  # NFT_JUMP_STACK_SIZE: the kernel refuses more
_AN_INTERFACE = "crk000000000000"


@dataclass(frozen=True, slots=True)
class Finding:
    """what: the chain and the direction that it drops, as a sentence; mend: the command that lets ours pass."""

    what: str
    mend: str


def findings() -> tuple[Finding, ...]:
    """Every chain of other tables, nftables and legacy iptables, that drops what ours lets through."""
    found: list[Forwarding] = []
    unread: list[Finding] = []
    below: list[Finding] = []
    for family, name, is_held in _tables():
        if (family, name) in (("inet", TABLE), ("inet", TRACING)):
            continue
        try:
            if is_held:
                held = f"table {family} {name} is held by another process (nft's flag owner) and can not be judged"
                unread.append(Finding(held, f"look whether it drops forwarded packets: nft list table {family} {name}"))
                continue
            query = f"list table {family} {name}"
            with libnftables.known_shape(query):
                listed = libnftables.list_json(query)
                found += from_nft(listed)
                if any(o["chain"].get("hook") in ("ingress", "egress") for o in listed if "chain" in o):
                    below += (_below(f"{family} {name}", f) for f in device_chains(libnftables.listed(query), PREFIX))
        except libnftables.NftError as reason:
            unread.append(
                Finding(f"table {family} {name} can not be read: {reason.msg}", f"nft list table {family} {name}")
            )
    for tool, names in (("iptables-legacy", "ip_tables_names"), ("ip6tables-legacy", "ip6_tables_names")):
        found += from_iptables(legacy_rules(tool, names), tool)
    return (*(f for chain in found for f in judged(chain)), *below, *unread)


def _below(table: str, found: DeviceChain) -> Finding:
    what = f"chain {found.chain} of table {table} may drop packets at {', '.join(found.devices)}"
    where = "before our table sees them" if found.hook == "ingress" else "behind our table"
    return Finding(f"{what}, {where}", f"look what it drops: nft list table {table}")


def _tables() -> list[tuple[str, str, bool]]:
    """Family and name of each, and whether a process holds it: nft 1.0.6 can't list such a one as values."""
    with transactions.held() as socket:
        return [(family, name, bool(flags.owner)) for family, name, flags in socket.tables(_ASKED)]


def legacy_rules(tool: str, names: str) -> str:
    """What the tool lists; nothing where the kernel has no such table, which asking would create."""
    try:
        if "filter" not in Path(f"/proc/thread-self/net/{names}").read_text().split():
            return ""
        return subprocess.run([tool, "-S"], capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def judged(forwarding: Forwarding) -> tuple[Finding, ...]:
    """The findings about one chain: one for each direction that it drops, in each family that it sees."""
    found = []
    for about, words in (("iifname", "from"), ("oifname", "to")):
        families = [f for f in _families(forwarding.family) if _verdict(forwarding, about, f) == "drop"]
        if families:
            what = (
                f"chain {forwarding.chain} of table {forwarding.family} {forwarding.table} drops forwarded "
                f"{' and '.join(families)} packets {words} interfaces {OURS}"
            )
            found.append(Finding(what, _mend(forwarding, about)))
    return tuple(found)


def _families(family: str) -> tuple[str, ...]:
    return {"ip": ("ipv4",), "ip6": ("ipv6",)}.get(family, ("ipv4", "ipv6"))


def _verdict(forwarding: Forwarding, about: str, family: str) -> str:
    return _walk(forwarding, forwarding.chain, about, family, 0) or forwarding.policy


def _walk(forwarding: Forwarding, chain: str, about: str, family: str, depth: int) -> str:
    """Accept or drop, or nothing where the chain only hands back."""
    for rule in forwarding.chains.get(chain, ()) if depth < _DEEPEST else ():
        if not all(_holds(c, about, family) for c in rule.conditions):
            continue
        if rule.verdict == "return":
            return ""
        if rule.verdict in ("accept", "drop"):
            return rule.verdict
        decided = _walk(forwarding, rule.target, about, family, depth + 1)
        if decided or rule.verdict == "goto":
            return decided
    return ""


def _holds(condition: Told, about: str, family: str) -> bool:
    """True when a new packet through an interface of ours fulfils it for sure; the other interface is not known."""
    known = {about: _AN_INTERFACE, "family": family, "state": "new"}.get(condition.about)
    if known is None:
        return False
    values = (v if condition.about != "family" else _FAMILY_NAMES.get(v, v) for v in condition.values)
    return any(fnmatchcase(known, v) for v in values) is not condition.negated


_FAMILY_NAMES = {"ip": "ipv4", "ip6": "ipv6"}


def _mend(forwarding: Forwarding, about: str) -> str:
    option = "-i" if about == "iifname" else "-o"
    if forwarding.tool != "nft":
        chain = "DOCKER-USER" if "DOCKER-USER" in forwarding.chains else forwarding.chain
        return f"{forwarding.tool} -I {chain} {option} crk+ -j ACCEPT"
    if forwarding.table == "firewalld":
        zone = "firewall-cmd --permanent --zone=trusted --add-interface=crk+"
        policy = (
            "firewall-cmd --permanent --new-policy=calico-rkt && firewall-cmd --permanent --policy=calico-rkt "
            "--add-ingress-zone=ANY --add-egress-zone=trusted --set-target=ACCEPT"
        )
        return f"{zone if about == 'iifname' else policy} && firewall-cmd --reload"
    return f"nft insert rule {forwarding.family} {forwarding.table} {forwarding.chain} {about} '\"{OURS}\"' accept"
