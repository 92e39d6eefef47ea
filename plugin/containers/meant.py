"""A word of the command line and this host's endpoints in; whom it means out: containers, a network, addresses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.compiler.diagnostics import counted
from calico_rkt.compiler.grammar.expectations import parse_addresses
from calico_rkt.compiler.text.values import BadValueError
from calico_rkt.plugin.containers.listed import SHORT, Row
from calico_rkt.plugin.errors import CniError, Code


class Kind(Enum):
    """What a word is about."""

    CONTAINER, NETWORK, ADDRESSES, OUTSIDE, HOST = "container", "network", "addresses", "outside", "host"


@dataclass(frozen=True, slots=True)
class End:
    """One end of a flow: rows are the endpoints of a container or a network, net is what an address or CIDR names."""

    kind: Kind
    word: str
    rows: tuple[Row, ...] = ()
    net: Net | None = None

    def __str__(self) -> str:
        """`web1 (10.91.0.2 in web)`, `network web (2 endpoints)`, `192.0.2.0/24`, `the outside`."""
        if self.kind is Kind.CONTAINER:
            where = (f"{', '.join(r.addresses)} in {r.network}" for r in self.rows)
            return f"{self.rows[0].shown} ({'; '.join(where)})"
        if self.kind is Kind.NETWORK:
            count = len(self.rows)
            return f"network {self.word} ({counted(count, 'endpoint')})"
        if self.net is not None:
            single = self.net.prefixlen == self.net.max_prefixlen
            return str(self.net.network_address if single else self.net)
        return f"the {self.kind.value}"


def meant(word: str, rows: Sequence[Row], networks: Collection[str] = ()) -> End:
    """Whom a word means. networks: names of those that have a conf here; a network goes before a container.

    `container:` and `network:` before a name say which of the two. CniError where it means nobody, or several.
    """
    prefix, colon, name = word.partition(":")
    only = prefix if colon and prefix in ("container", "network") else ""
    name = name if only else word
    of_network = tuple(r for r in rows if r.network == name)
    if only != "container" and (of_network or name in networks):
        return End(Kind.NETWORK, name, tuple(r for r in of_network if r.state != "gone"))
    if not only and name in (Kind.OUTSIDE.value, Kind.HOST.value):
        return End(Kind(name), name)
    if only != "network":
        if found := _container(name, rows):
            return End(Kind.CONTAINER, name, found)
        if not only and (net := _addresses(name)) is not None:
            held = tuple(r for r in rows if net.prefixlen == net.max_prefixlen and str(net[0]) in r.addresses)
            return End(Kind.CONTAINER, name, held) if held else End(Kind.ADDRESSES, name, (), net)
    known = {*networks, *(r.network for r in rows), *(n for r in rows for n in r.names), "outside", "host"}
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise CniError(
        Code.INVALID_CONF,
        f"nobody here is called {word!r}",
        f"{hint}a container's name, its id or the begin of it, a network, an address, outside or host; "
        "calico-rkt ls shows them",
    )


def _container(word: str, rows: Sequence[Row]) -> tuple[Row, ...]:
    """The endpoints of the one container that is meant; a whole name or id goes before the begin of one."""
    if not word:
        return ()
    exact = [r for r in rows if word in (*r.names, r.container)]
    found = exact or [r for r in rows if r.container.startswith(word)]
    living = [r for r in found if r.state != "gone"]
    if found and not living:
        raise CniError(
            Code.INVALID_CONF, f"container {word} is gone: its network namespace is not there any more", "calico-rkt gc"
        )
    if len({r.container for r in living}) > 1:
        which = ", ".join(sorted({f"{r.container[:SHORT]} ({r.name or 'no name'}, {r.network})" for r in living}))
        raise CniError(Code.INVALID_CONF, f"{word!r} may be one of several containers: {which}", "say more of the id")
    return tuple(living)


def _addresses(word: str) -> Net | None:
    try:
        return parse_addresses(word)
    except BadValueError:
        return None
