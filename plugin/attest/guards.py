"""Nothing in; what the table's own chains have to be, rule by rule, out: the part that no network owns.

Said here a second time on purpose, and not made of the template that writes it: a template that went wrong would
write and prove the same mistake. docs/security.md says in words what each rule is for. Numbers stand for names, as in
the listing that is compared: ICMPv6 types, protocols, ct states (1 invalid, 2 established, 4 related).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guard:
    """A chain of the table. kind, hook and priority are empty and 0 for one that only other chains call."""

    rules: tuple[str, ...]
    kind: str = ""
    hook: str = ""
    priority: int = 0


GUARDS = {
    # No address but its own from an interface of ours, before fragments are put together (-400), and nothing to a
    # loopback address, which a plugin such as portmap lets a host end route; over link-local neighbours and listeners.
    "prerouting": Guard(
        (
            "iifname != crk* accept",
            "iifname . ip saddr @source4 ip daddr != 127.0.0.0/8 accept",
            "iifname . ip6 saddr @source6 accept",
            (
                "ip6 saddr { :: , fe80::/10 } ip6 daddr { fe80::/10 , ff02::/16 } "
                "icmpv6 type { 130 , 131 , 132 , 136 , 143 } accept"
            ),
            "drop",
        ),
        "filter",
        "prerouting",
        -410,
    ),
    # Nothing of an interface of ours that is in another group than its network's.
    # Addresses of endpoints, and those of ranges that nobody has, come by no interface that is not ours.
    "foreign": Guard(
        (
            "iifname crk* iifname . iifgroup @endpoints accept",
            "iifname crk* drop",
            "iifname lo accept",
            "ip saddr @all4 drop",
            "ip saddr @pools4 fib saddr oif missing drop",
            "ip6 saddr @all6 drop",
            "ip6 saddr @pools6 fib saddr oif missing drop",
        ),
        "filter",
        "prerouting",
        -410,
    ),
    "forward": Guard(
        (
            "iifname != crk* oifname != crk* accept",
            "ct state 1 drop",
            "ct state 2,4 jump known",
            "iifname crk* jump egress",
            "oifname crk* jump ingress",
        ),
        "filter",
        "forward",
    ),
    # To an interface of ours in its network's group only; to an endpoint's address by no interface but ours.
    "strays": Guard(
        (
            "oifname crk* oifname . oifgroup @endpoints accept",
            "oifname crk* drop",
            "ip daddr @all4 drop",
            "ip6 daddr @all6 drop",
        ),
        "filter",
        "forward",
    ),
    "input": Guard(
        (
            "iifname != crk* accept",
            "ct state 1 drop",
            "ct state 2,4 jump known",
            "icmpv6 type { 130 , 131 , 132 , 133 , 135 , 136 } accept",
            "jump egress",
            "iifgroup vmap @network_to_host",
            "drop",
        ),
        "filter",
        "input",
    ),
    "postrouting": Guard(
        (
            "oifname != crk* ip saddr @masq4 ip daddr != @pools4 masquerade",
            "oifname != crk* ip6 saddr @masq6 ip6 daddr != @pools6 masquerade",
        ),
        "nat",
        "postrouting",
        100,
    ),
    # Replies; of errors those about flows that the endpoint's own address is an end of.
    "known": Guard(
        (
            "ct state 2 accept",
            "meta l4proto != { 1 , 58 } return",
            "iifname != crk* accept",
            "iifname . ct original ip saddr @source4 accept",
            "iifname . ct reply ip saddr @source4 accept",
            "iifname . ct original ip6 saddr @source6 accept",
            "iifname . ct reply ip6 saddr @source6 accept",
            "drop",
        )
    ),
    # A group that no map knows runs into the drop.
    "egress": Guard(("iifgroup vmap @from_network", "drop")),
    "ingress": Guard(("oifgroup vmap @to_network", "drop")),
}

SETS = {
    "all4": ("ipv4_addr",),
    "all6": ("ipv6_addr",),
    "source4": ("ifname", "ipv4_addr"),
    "source6": ("ifname", "ipv6_addr"),
    "masq4": ("ipv4_addr",),
    "masq6": ("ipv6_addr",),
    "pools4": ("ipv4_addr",),
    "pools6": ("ipv6_addr",),
    "endpoints": ("ifname", "devgroup"),
    "from_network": ("devgroup",),
    "to_network": ("devgroup",),
    "network_to_host": ("devgroup",),
}
"""The sets and maps that no network owns, and the types of their keys."""
INTERVALS = ("pools4", "pools6")
"""Those that hold ranges."""
