"""A call whose runtime hands published ports over in; what it gets of them, said in the log, out.

A runtime says which ports of the host it wants only to plugins whose conf declares the capability portMappings. This
plugin maps none, but it can tell where nobody does, and where policy closes what is mapped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence

from calico_rkt.compiler.conf.chain import PORTMAP, PORTS
from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.diagnostics import cut_short
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.review.from_outside import closed_from_outside
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.workspace.chains import chains_of
from calico_rkt.plugin.attach.delete import words
from calico_rkt.plugin.cni.ports import PROTOCOLS, Port, ports_in
from calico_rkt.plugin.cni.request import Request
from calico_rkt.plugin.model import Endpoint
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.local import LocalStore
from calico_rkt.plugin.store.protocol import Store


def tell(request: Request, endpoint: Endpoint, store: Store) -> None:
    """Warn of each port that is asked for and that nobody outside will reach. An ADD never fails for what is told."""
    try:
        mappings = mappings_of(request.raw)
        if mappings:
            for line in _said(mappings, request, endpoint, store):
                LOG.warning("ADD %s %s %s: %s", *words(endpoint.key), line)
    except Exception as e:  # noqa: BLE001 - the container is attached, whatever can be told of it
        LOG.info("ADD %s %s %s: published ports could not be judged: %s", *words(endpoint.key), e)


def mappings_of(raw: bytes) -> tuple[Port, ...]:
    """runtimeConfig.portMappings of a conf."""
    loaded = json.loads(raw)
    runtime = loaded.get("runtimeConfig") if isinstance(loaded, dict) else None
    return ports_in(runtime.get(PORTS) if isinstance(runtime, dict) else None)


def _said(mappings: Sequence[Port], request: Request, endpoint: Endpoint, store: Store) -> Iterator[str]:
    unmapped = _unmapped(request.conf.name)
    if unmapped:
        yield (
            f"{_listed(mappings)} asked for, but no plugin of {unmapped} maps ports: nobody reaches them; "
            f"make it a list (.conflist) with {PORTMAP} behind calico"
        )
    elif "_CONTAINERS_ROOTLESS_UID" in os.environ:  # podman's own word
        yield (
            f"{_listed(mappings)} published without root: whoever comes by them reaches the container as "
            "the host does, whatever policy says"
        )
    elif isinstance(store, LocalStore):  # a cluster has policy of its own beside the profile
        yield from _denied(mappings, endpoint, store)


def _unmapped(network: str) -> str:
    """The files of this host's confs that name the network, where none of them has a plugin that maps ports.

    Empty where one has, and where no conf is found: a runtime may have folders of its own.
    """
    chains = chains_of(network)
    return "" if any(chain.port_mappers for chain in chains.values()) else " and ".join(chains)


def _denied(mappings: Sequence[Port], endpoint: Endpoint, store: LocalStore) -> Iterator[str]:
    """What is published to the outside and closed to all of it, by the policy in force, protocol by protocol."""
    published = store.published(object_id(endpoint.key.network))
    if published is None:
        return
    network, owned = verify_calico_v3(published.text), store.ranges()
    for name, number in PROTOCOLS.items():
        closed: dict[Address, tuple[int, ...]] = {}
        for address in endpoint.addresses:
            asked = [m.container for m in mappings if m.protocol == name and m.reaches(address)]
            closed[address] = closed_from_outside(network, address, number, asked, owned)
        shut = [m for m in mappings if m.protocol == name and any(_leads(m, a, closed[a]) for a in closed)]
        if shut:
            ports = f"destination: {{ports: [{_ranges({m.container for m in shut})}]}}"
            rule = f"- {{action: Allow, protocol: {name.upper()}, source: {{notSelector: all()}}, {ports}}}"
            yield (
                f"{_listed(shut)} published but denied from outside by the policy of network {endpoint.key.network!r}; "
                f"to let the outside in, put into its override, under ingress and above `- default`: {rule}; "
                "then calico-rkt apply"
            )


def _ranges(ports: Collection[int]) -> str:
    """As an override's list of ports has them: 80, 8080:8090."""
    found: list[list[int]] = []
    for port in sorted(ports):
        if found and port == found[-1][1] + 1:
            found[-1][1] = port
        else:
            found.append([port, port])
    return ", ".join(f"{lo}:{hi}" if lo < hi else str(lo) for lo, hi in found)


def _leads(mapping: Port, address: Address, closed: Collection[int]) -> bool:
    return mapping.container in closed and mapping.reaches(address)


def _listed(mappings: Sequence[Port]) -> str:
    """Up to eight of them, with the verb that follows."""
    shown = cut_short(list(map(_shown, mappings)), 8)
    return f"port{'s' if len(mappings) > 1 else ''} {shown} {'are' if len(mappings) > 1 else 'is'}"


def _shown(port: Port) -> str:
    to = f"->{port.container}" if port.container != port.host else ""
    return f"{f'{port.host_ip}:' if port.host_ip else ''}{port.host}{to}/{port.protocol}"
