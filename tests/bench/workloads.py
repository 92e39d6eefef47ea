"""Seeded rule lists for the review's figures, and what is true of them by a count that shares nothing with ours."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.ir.model import Action, Match, PortRange, Rule, Side

PORTS = tuple(range(8000, 8020))


@dataclass(frozen=True, slots=True)
class Line:
    """One rule: TCP from a net to a port."""

    action: str
    net: IPv4Network
    port: int

    def yaml(self) -> str:
        source, destination = f"{{nets: [{self.net}]}}", f"{{ports: [{self.port}]}}"
        return f"  - {{action: {self.action}, protocol: TCP, source: {source}, destination: {destination}}}\n"


def hierarchical(count: int, seed: int = 1) -> list[Line]:
    """Nets in nets, as an organisation grows; one in a hundred is hidden by its two halves together."""
    r = random.Random(seed)
    out: list[Line] = []
    while len(out) < count:
        length = r.choice((16, 18, 20, 22, 24))
        net = IPv4Network((10 << 24 | r.getrandbits(24) >> (32 - length) << (32 - length), length))
        out += _with_shadow(r, net, count)
    return out[:count]


def scattered(count: int, seed: int = 2) -> list[Line]:
    """Nets all over the address space."""
    r = random.Random(seed)
    out: list[Line] = []
    while len(out) < count:
        length = r.choice((20, 24, 28))
        net = IPv4Network((r.getrandbits(32) >> (32 - length) << (32 - length), length))
        out += _with_shadow(r, net, count)
    return out[:count]


def _with_shadow(r: random.Random, net: IPv4Network, count: int) -> Iterator[Line]:
    action, port = r.choice(("Allow", "Allow", "Deny")), r.choice(PORTS)
    if r.random() < 0.01 and count > 100:
        for half in net.subnets():
            yield Line(r.choice(("Allow", "Deny")), half, port)
    yield Line(action, net, port)


def dead(lines: Sequence[Line]) -> set[int]:
    """The positions of lines whose net earlier lines of the same port cover: by joining intervals, nothing else."""
    covered: dict[int, list[tuple[int, int]]] = {}
    out: set[int] = set()
    for n, line in enumerate(lines):
        taken = covered.setdefault(line.port, [])
        first, last = int(line.net.network_address), int(line.net.broadcast_address)
        if any(lo <= first and last <= hi for lo, hi in taken):
            out.add(n)
            continue
        near = [t for t in taken if t[0] <= last + 1 and first <= t[1] + 1]
        taken[:] = [t for t in taken if t not in near]
        taken.append((min([first, *(t[0] for t in near)]), max([last, *(t[1] for t in near)])))
    return out


def override(lines: Iterable[Line], network: str = "bench") -> str:
    return f"network: {network}\ningress:\n" + "".join(line.yaml() for line in lines)


def rules(lines: Iterable[Line]) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            Action(line.action),
            Match(4, 6, source=Side(nets=(line.net,)), destination=Side(ports=(PortRange(line.port, line.port),))),
            Span("bench.yaml", n, 1, 2),
        )
        for n, line in enumerate(lines, 1)
    )


def aerleon(lines: Sequence[Line]) -> dict[str, str]:
    """The same rules as aerleon's files, by their path: one term a rule, names for its addresses and ports."""
    nets = {line.net: f"N{n}" for n, line in enumerate(lines)}
    networks = "".join(f"  {name}:\n    values:\n      - address: {net}\n" for net, name in nets.items())
    services = "".join(f"  P{port}:\n    - protocol: tcp\n      port: {port}\n" for port in PORTS)
    terms = "".join(
        f"      - name: t{n}\n        protocol: tcp\n        source-address: {nets[line.net]}\n"
        f"        destination-port: P{line.port}\n        action: {'accept' if line.action == 'Allow' else 'deny'}\n"
        for n, line in enumerate(lines)
    )
    header = "filters:\n  - header:\n      targets:\n        nftables: inet input\n    terms:\n"
    return {
        "definitions/networks.yaml": f"networks:\n{networks}",
        "definitions/services.yaml": f"services:\n{services}",
        "policies/bench.yaml": header + terms,
    }


def adversarial(count: int = 2000) -> str:
    """Every rule overlaps every other in two dimensions: nested nets on one end, sliding port ranges on the other."""
    out = ["network: bench\ningress:\n"]
    for n in range(count):
        action = "Allow" if n % 2 else "Deny"
        ports = f'["{1 + n}:{30000 + n}"]'
        sources = f'["{1 + (n * 7919) % 20000}:{40000 + (n * 7919) % 20000}"]'
        out.append(
            f"  - {{action: {action}, protocol: TCP, source: {{ports: {sources}}}, destination: {{ports: {ports}}}}}\n"
        )
    return "".join(out)
