"""Names of networks in; an error for each that means somebody else, and what to write for a wrong one, out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from ipaddress import IPv4Address

from calico_rkt.compiler.diagnostics import Diagnostic, error

NOT_NETWORKS = ("host", "outside")
"""The ends of a flow that are no network: tables, `explain` and messages call them so."""


def taken(paths: Mapping[str, str]) -> Iterator[Diagnostic]:
    """The findings of all of them; paths are the confs' by network."""
    for name, path in paths.items():
        if name in NOT_NETWORKS:
            message = f"a network can't be called {name!r}: in every review that is who is no network"
            yield error("CR840", message, path=path, hint="give it another name")
        elif _is_address(name):
            message = f"a network can't be called {name!r}: in every review that is an address"
            yield error("CR840", message, path=path, hint="give it another name")


def _is_address(name: str) -> bool:
    try:
        IPv4Address(name)
    except ValueError:
        return False
    return True


def way_out(called: str, name: str, known: Collection[str], otherwise: str) -> str:
    """What to write for a network of that name which nobody knows: one of known that is nearly called so, if any."""
    if name in NOT_NETWORKS:
        return f"a rule has no word for the {name}: name its addresses in nets, or what it is not"
    near = get_close_matches(called, sorted(known), n=1)
    return f"did you mean {near[0]}?" if near else otherwise
