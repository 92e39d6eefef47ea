"""The networks of a workspace in, a finding for each pair that can't be told apart, by name or by address, out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from calico_rkt.compiler.conf.netconf import Net, NetConf
from calico_rkt.compiler.diagnostics import Diagnostic, error, warning
from calico_rkt.compiler.ir.ids import object_id


def same_id(paths: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Two networks of one id, or one that is called as the other's id: who names it would mean either."""
    first: dict[str, str] = {}
    for name, path in paths.items():
        other = first.setdefault(object_id(name), name)
        if other != name:
            message = f"the networks {other!r} and {name!r} have one id, {object_id(name)!r}"
            yield error("CR711", message, path=path, hint="give one of them another name")
    for name, path in paths.items():
        if name in first and object_id(name) != name:
            message = f"the name of the network {name!r} is the id of the network {first[name]!r}"
            yield error("CR711", message, path=path, hint="give one of them another name")


def overlaps(confs: Mapping[str, NetConf], paths: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Networks of one datastore may share addresses: each is handed out once all the same, so it is no error."""
    names = tuple(confs)
    ranges = {n: [r.subnet for one in c.ipam.ranges for r in one] for n, c in confs.items()}
    for one, other in _nested([(confs[n].datastore_type, ranges[n]) for n in names]):
        a, b = names[one], names[other]
        x, y = next((x, y) for x in ranges[a] for y in ranges[b] if x.version == y.version and x.overlaps(y))
        message = f"the subnet {y} of {b!r} overlaps {x} of {a!r} ({paths[a]})"
        hint = "rules on addresses can't tell the two networks apart; give each its own subnet"
        yield warning("CR712", message, path=paths[b], hint=hint)


def _nested(networks: Sequence[tuple[str, Sequence[Net]]]) -> list[tuple[int, int]]:
    """The numbers of networks of one kind whose nets overlap, in order; two nets that overlap lie one in the other."""
    known: dict[tuple[str, int], list[tuple[int, int, int]]] = {}
    for number, (kind, nets) in enumerate(networks):
        for net in nets:
            span = int(net.network_address), -int(net.broadcast_address), number
            known.setdefault((kind, net.version), []).append(span)
    pairs: set[tuple[int, int]] = set()
    for spans in known.values():
        around: list[tuple[int, int]] = []
        for first, last, number in sorted(spans):
            while around and around[-1][0] < first:
                around.pop()
            pairs.update((min(number, other), max(number, other)) for _, other in around if other != number)
            around.append((-last, number))
    return sorted(pairs)
