"""A chain of our table that belongs to no network in; what a drop there means, and what to do about it, out."""

from __future__ import annotations

from dataclasses import dataclass

from calico_rkt.plugin.enforce.nft.closing import BESIDE
from calico_rkt.plugin.enforce.nft.elements import TABLE


@dataclass(frozen=True, slots=True)
class Meaning:
    """stage: a word or two for what decided; words: what it says; cure: a command, where one helps."""

    stage: str
    words: str
    cure: str = ""


_INVALID = Meaning(
    "connection tracking",
    "the packet belongs to no flow that the host knows (invalid): its flow has ended or was forgotten, or the other "
    "direction takes another way",
    "conntrack -L -s SOURCE; ip route get SOURCE",
)
_UNKNOWN = (
    "the host knows no network for interface {}: its network is closed, its elements are gone, or it is in another "
    "device group than its network's"
)
_CURE = "calico-rkt status; calico-rkt restore"
_CLOSED = Meaning(
    "the host is closed", "everything of ours is dropped until its policy is restored", "calico-rkt restore"
)


def is_ours(table: str) -> bool:
    """Whether a table is one of those that enforce our policy."""
    return table in (TABLE, BESIDE)


def meaning(table: str, chain: str, text: str, iif: str, oif: str) -> Meaning:
    """What a drop by a rule of the base says; text is the rule's."""
    if table == BESIDE or (chain, text.startswith('iifname "crk*" drop')) == ("prerouting", True):
        return _CLOSED
    if text.startswith("ct state invalid"):
        return _INVALID
    if text.startswith(('iifname "crk*" drop', 'oifname "crk*" drop')):
        return Meaning("no policy in force", _UNKNOWN.format(iif if text.startswith("iif") else oif), _CURE)
    found = {
        "prerouting": Meaning(
            "source check",
            "the container sends with an address that is not its own, or to a loopback address",
            "ip address, inside the container",
        ),
        "foreign": Meaning(
            "source check",
            f"the source is an address of our networks, and the packet came in by {iif or 'another interface'}, "
            "which is no container's",
        ),
        "strays": Meaning(
            "way to the container",
            f"the destination is an endpoint of ours, and the host's route leads to {oif or 'another interface'}",
            "ip route get DESTINATION; calico-rkt restore",
        ),
        "known": Meaning("ICMP errors", "the error quotes a flow that is not the sender's own"),
        "egress": Meaning("no policy in force", _UNKNOWN.format(iif), _CURE),
        "ingress": Meaning("no policy in force", _UNKNOWN.format(oif), _CURE),
        "input": Meaning("no policy in force", _UNKNOWN.format(iif), _CURE),
        "forward": _CLOSED,
    }
    return found.get(chain, Meaning(f"chain {chain}", f"a rule of table inet {table}", "calico-rkt status"))
