"""Endpoints and networks' scripts in; the kernel's table `inet calico_rkt` changed, one transaction a call, out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.compiler.typed import Any
from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.enforce.nft import elements, layout, libnftables, messages, transactions
from calico_rkt.plugin.enforce.nft.base import base_script, measure
from calico_rkt.plugin.enforce.nft.closing import BESIDE, HeldTableError, close_first
from calico_rkt.plugin.enforce.nft.elements import OURS, TABLE, EndpointElements, checked_id
from calico_rkt.plugin.enforce.nft.ruleset import ends_of_chains, keys_of, parts_of
from calico_rkt.plugin.enforce.nft.standing import Standing, standing
from calico_rkt.plugin.enforce.nft.swap import let_packets_pass, swap
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link.groups import group_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from calico_rkt.compiler.ir.model import ToHost

__all__ = ["HeldTableError", "LiveNetwork", "Standing", "close_first", "standing"]


class BaseMissingError(CniError):
    """The table is not one to join: not there, not whole, closed, of an older layout. restore() first."""

    def __init__(self, found: Standing = Standing.NONE) -> None:
        super().__init__(Code.POLICY, f"the nftables table inet {TABLE} is {found.value}")


class NewerTableError(CniError):
    """The table is whole and was made by a newer build: it is left alone."""

    def __init__(self) -> None:
        super().__init__(
            Code.POLICY,
            f"the nftables table inet {TABLE} is of a newer layout than this build of calico-rkt knows",
            "use the newer build, which made it; to go back for good: nft delete table inet "
            f"{TABLE} && calico-rkt restore",
        )


class NetworkMissingError(CniError):
    """The table is there and the network's chains are not: their script first."""

    def __init__(self, network_id: str) -> None:
        super().__init__(Code.POLICY, f"network {network_id} has no chains in the nftables table inet {TABLE}")


@dataclass(frozen=True, slots=True)
class LiveNetwork:
    """A network's chains as the kernel has them, by the comment on the drop that ends each.

    digest (`sha256:...`) is empty where a chain is missing, does not end so, or they contradict each other.
    """

    network_id: str
    digest: str = ""
    to_host: ToHost | None = None


def add_endpoint(endpoint: EndpointElements) -> None:
    """Let an endpoint take part. Safe to repeat.

    Raises BaseMissingError or NetworkMissingError where those have to be made first. After an error the endpoint may be
    known, never open.
    """
    network_id = endpoint.network_id
    try:
        if transactions.add_elements(messages.elements(endpoint), network_id):
            return
    except libnftables.NftError as reason:
        if reason.missing and (missing := _problem(network_id)) is not None:
            raise missing from reason
        raise
    # Elements may be there and the rules that read them not: `nft flush table`, or a chain flushed by hand.
    transactions.vouch(network_id, lambda: _problem(network_id))


def _problem(network_id: str) -> CniError | None:
    found = standing()
    if found is Standing.NEWER:
        return NewerTableError()
    if found is not Standing.WHOLE:
        return BaseMissingError(found)
    return None if chains_present(network_id) else NetworkMissingError(network_id)


def remove_endpoint(endpoint: EndpointElements) -> None:
    """Take an endpoint out; elements, chains or a whole table that are gone already are no error."""
    try:
        transactions.delete_elements(messages.elements(endpoint))
    except libnftables.NftError as reason:
        if standing() is Standing.HELD:
            return  # somebody else's table knows nothing of ours
        if not reason.missing:
            raise
        # A second DEL, or an ADD that died half-way. Adding what is there already is no error, so this finds all of it.
        try:
            libnftables.run_nft(elements.adding(endpoint) + elements.deleting(endpoint))
        except libnftables.NftError:
            # A chain or set is gone too: look at what is left, slow with many endpoints.
            libnftables.run_nft(elements.deleting(endpoint, {(name, e.partition(" : ")[0]) for name, e in _present()}))


def _present() -> frozenset[tuple[str, str]]:
    """Every element of the table as elements.pairs() writes it; empty without a table."""
    if not _table_exists():
        return frozenset()
    query = f"list table inet {TABLE}"
    with libnftables.known_shape(query):
        return frozenset(
            (body["name"], _element(element))
            for found in libnftables.list_json(query)
            for body in (found.get("set") or found.get("map") or {},)
            for element in body.get("elem", ())
        )


def _element(found: Any) -> str:
    if isinstance(found, list):  # a map's key and verdict
        ((verb, where),) = found[1].items()
        name = f'"{found[0]}"' if isinstance(found[0], str) else found[0]
        return f"{name} : {verb} {where['target']}" if where else f"{name} : {verb}"
    if isinstance(found, dict) and "concat" in found:
        return f'"{found["concat"][0]}" . {found["concat"][1]}'
    return str(found)


def _table_exists() -> bool:
    with transactions.held() as socket:
        flags = socket.flags(TABLE)
    return flags is not None and not flags.owner


def base_present() -> bool:
    """True when the table is whole, of this build's layout or of an older one."""
    return not why_not_in_force()


def why_not_in_force() -> str:
    """How the table stands, in words, where no policy of it is in force; empty where it is."""
    found = standing()
    return "" if found in (Standing.WHOLE, Standing.OLDER) else f"the nftables table inet {TABLE} is {found.value}"


def chains_present(network_id: str) -> bool:
    """True when a network's three chains are there, none of them is empty, and its device group leads to them.

    Nor is a chain empty that ports lead to: the last rule of theirs says how many there are.
    """
    with transactions.held() as socket:
        comments = {chain: socket.comments(TABLE, chain) for chain in _chains(network_id)}
        ends = ((chain, _COMMENT.match(found[-1])) for chain, found in comments.items() if found)
        parts = (f"{chain}/{n}" for chain, end in ends if end for n in range(1, int(end[3] or 0) + 1))
        if not all(comments.values()) or not all(socket.count(TABLE, part) for part in parts):
            return False
    key = messages.group_key(group_of(network_id))
    with transactions.held() as socket:
        return all(
            socket.leads_to(TABLE, n, key) == f"{kind}-{network_id}" for n, kind in elements.CHAIN_OF_MAP.items()
        )


def _chains(network_id: str) -> tuple[str, str, str]:
    return f"out-{checked_id(network_id)}", f"in-{network_id}", f"host-{network_id}"


def set_ranges(ranges: Iterable[Net]) -> None:
    """Make these the ranges that masquerade spares: the subnets of every network of this datastore."""
    libnftables.run_nft(elements.ranges_script(ranges))


def apply_scripts(texts: Iterable[str]) -> None:
    """Swap several networks' sets and chains at once; a packet meets the old ones or the new ones (swap.py).

    texts: what the nftables target wrote, followed by elements.to_host_script().
    """
    swap("".join(texts))


def admit(script: str) -> None:
    """Put elements of elements.adding_all() in place; an NftError is busy where one leads elsewhere."""
    libnftables.run_nft(script)


def build_table(endpoints: Sequence[EndpointElements], networks: Mapping[str, str], ranges: Iterable[Net]) -> None:
    """Build the whole table anew: what was there counts for nothing, no packet sees it half done.

    networks: by id, the script of each network (as for apply_scripts) whose published profile is fit for use. In
    the order of ids, so the first may build what the others' go on with.
    Endpoints of any other network are closed (elements.adding_all).
    Where the host is open it is closed first; NewerTableError where the table is a newer build's.

    No flow of ours begins meanwhile; those that are established go on. Where chains that are hooked in go and come, a
    packet between the two at that moment is judged by none, and sets may look empty (swap.py): so a gate stands beside
    the table until all of it is in place. Who is ended on the way leaves a table that says it is closed. Beside a table
    of an older layout it is the new table's twin that stands meanwhile: an update of the program closes nothing.
    """
    found = close_first()
    if found is Standing.NEWER:
        raise NewerTableError
    finished, unfinished = layout.measure_script(measure()), layout.measure_script(measure(), finished=False)
    script = f"{_GONE}{base_script()}{unfinished}{elements.ranges_script(ranges)}"
    script += "".join(networks[i] for i in sorted(networks)) + elements.adding_all(endpoints, frozenset(networks))
    was_whole = found is Standing.WHOLE
    gate = _OF_TABLE.sub(f"inet {BESIDE}", script) if found is Standing.OLDER else _GATE
    libnftables.run_nft(gate + (unfinished if was_whole else ""))
    let_packets_pass()
    try:
        libnftables.run_nft(script)
    except CniError:
        with suppress(CniError):
            libnftables.run_nft((finished if was_whole else "") + _NO_GATE)
        raise
    let_packets_pass()
    try:
        libnftables.run_nft(finished + _NO_GATE)
    except libnftables.NftError as e:
        if not e.missing:
            raise
        libnftables.run_nft(_NO_GATE)  # somebody flushed all of it meanwhile, and it is closed or built anew


_OF_TABLE = re.compile(rf"\binet {TABLE}\b")
_GONE = f"add table inet {TABLE}\ndelete table inet {TABLE}\n"
_NO_GATE = f"add table inet {BESIDE}\ndelete table inet {BESIDE}\n"
_GATE = f"""\
{_NO_GATE}table inet {BESIDE} {{
    chain forward {{
        type filter hook forward priority filter - 1; policy accept;
        ct state established accept
        iifname "{OURS}" drop
        oifname "{OURS}" drop
    }}
    chain input {{
        type filter hook input priority filter - 1; policy accept;
        iifname "{OURS}" ct state invalid,related,new drop
    }}
}}
"""
"""The script of what lets no flow of ours begin."""


def remove_network(network_id: str) -> bool:
    """Take a network's chains away, and its sets where no other network's rules name them.

    False when it has endpoints on this host (then nothing changed), or the chains are not there: who took them away may
    have died before the sets. Under the policy lock, without which an endpoint may come in between.
    """
    sets = (f"m4-{checked_id(network_id)}", f"m6-{network_id}")
    with transactions.held() as socket:
        if any(keys_of(socket, name) for name in sets):
            return False
        chains = (*_chains(network_id), *sorted(parts_of(_chains(network_id), socket)))
    lines = [f"{verb} chain inet {TABLE} {c}" for verb in ("flush", "delete") for c in chains]
    found = True
    try:
        libnftables.run_nft(elements.unmapping(network_id) + "\n".join(lines) + "\n")
    except libnftables.NftError as reason:
        if reason.busy:
            return False
        if not reason.missing:
            raise
        found = False
    for name in sets:
        try:
            libnftables.run_nft(f"delete set inet {TABLE} {name}\n")
        except libnftables.NftError as reason:
            if not (reason.busy or reason.missing):
                raise
    return found


_COMMENT = re.compile(r"(sha256:[0-9a-f]{64})(?: host=(drop|return|accept))?(?: chains=([0-9]{1,5}))?\Z")


def live_networks() -> tuple[LiveNetwork, ...]:
    """Every network with chains in the kernel, by id, with what the last rules of its chains say."""
    if not _table_exists():
        return ()
    with transactions.held() as socket:
        for _ in range(_LOOKS):
            before = socket.generation()
            ends = ends_of_chains(socket)
            if socket.generation() == before:  # a chain comes with its rules, and is not read before them
                break
    ids = {name.partition("-")[2] for name in ends if name.startswith(("out-", "in-")) and "/" not in name}
    return tuple(_live(i, *(ends.get(c, _NO_END) for c in _chains(i))) for i in sorted(ids))


_LOOKS = 20
_NO_END = (None, b"")
_VERDICTS = {"drop": 0, "accept": 1, "return": -5}  # NF_DROP, NF_ACCEPT, NFT_RETURN


def _live(
    network_id: str, out: tuple[int | None, bytes], into: tuple[int | None, bytes], host: tuple[int | None, bytes]
) -> LiveNetwork:
    if out[0] != _VERDICTS["drop"] or into[0] != _VERDICTS["drop"]:
        return LiveNetwork(network_id)
    sent, received = (_COMMENT.match(transactions.comment_of(data)) for _, data in (out, into))
    if not sent or not sent[2] or not received or sent[1] != received[1] or host[0] != _VERDICTS[sent[2]]:
        return LiveNetwork(network_id)
    from calico_rkt.compiler.ir.model import ToHost  # here, not above: no ADD asks for it

    return LiveNetwork(network_id, sent[1], ToHost(sent[2]))
