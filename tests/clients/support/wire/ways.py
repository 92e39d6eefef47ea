"""A host's taps and addresses in; that each way carries a packet which no rule is about, or an error, out.

Where a way carries nothing, what did not come tells nothing of rules.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from tests.clients.support.lab import PATIENCE, Lab
from tests.clients.support.wire.packets import HOSTS, OUTSIDES, Address, Sent
from tests.clients.support.wire.taps import Taps

_UDP, _PORTS = 17, (20, 1)
"""Ports that nothing else is sent from."""


def prove(taps: Taps, places: Mapping[str, Mapping[int, Address]], patience: float = PATIENCE) -> None:
    """Packets from the host to each place, and from the outside to it, until all have come. places: endpoints."""
    everybody = {**places, "outside": OUTSIDES}
    missing = {
        Sent("host", HOSTS[version], address, _UDP, _PORTS): place
        for place, addresses in everybody.items()
        for version, address in addresses.items()
    }
    missing |= {Sent("outside", OUTSIDES[version], HOSTS[version], _UDP, _PORTS): "host" for version in HOSTS}
    end = time.monotonic() + patience
    while missing:
        numbers = {taps.send(sent): (sent, place) for sent, place in missing.items()}
        came = taps.arrivals({number: place for number, (_, place) in numbers.items()})
        missing = {sent: place for number, (sent, place) in numbers.items() if came.get(number) != {place}}
        if missing and time.monotonic() > end:
            said = ", ".join(f"{sent.place} to {place} ({sent.destination})" for sent, place in missing.items())
            raise AssertionError(f"nothing can be told of rules: ways that carry nothing at all: {said}")


def lay(lab: Lab) -> None:
    """The ways to the outside: routes, and ends that know each other for good, however late a busy machine answers."""
    ends = (("", OUTSIDES), ("outside", HOSTS))
    for (inside, others), (other, _) in zip(ends, reversed(ends), strict=True):
        mac = lab.out("cat", "/sys/class/net/out0/address", inside=other).strip()
        for address in others.values():
            neighbour = (str(address), "lladdr", mac, "dev", "out0", "nud", "permanent")
            lab.out("ip", "neigh", "replace", *neighbour, inside=inside)
    for version, address in OUTSIDES.items():
        lab.out("ip", f"-{version}", "route", "replace", "default", "via", str(address))
