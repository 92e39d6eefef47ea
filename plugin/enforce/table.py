"""Endpoints and networks' scripts in; the kernel's table `inet calico_rkt` changed, one transaction a call, out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calico_rkt.compiler.conf import Net
from calico_rkt.compiler.ir import ToHost
from calico_rkt.plugin.enforce import elements, nft
from calico_rkt.plugin.enforce.elements import TABLE, EndpointElements, checked_id
from calico_rkt.plugin.enforce.foundation import base_script
from calico_rkt.plugin.result import CniError, Code


class BaseMissingError(CniError):
    """The table is not in the kernel (never made, or flushed): restore() first."""

    def __init__(self) -> None:
        super().__init__(Code.POLICY, f"the nftables table inet {TABLE} is not in the kernel")


class NetworkMissingError(CniError):
    """The table is there and the network's chains are not: load_network() first."""

    def __init__(self, network_id: str) -> None:
        super().__init__(Code.POLICY, f"network {network_id} has no chains in the nftables table inet {TABLE}")


@dataclass(frozen=True, slots=True)
class LiveNetwork:
    """A network's chains as the kernel has them, by the comment on the drop that ends each.

    digest (`sha256:...`) is empty where a chain is missing, does not end so, or the two differ.
    """

    network_id: str
    digest: str = ""
    to_host: ToHost | None = None


def attach(endpoint: EndpointElements) -> None:
    """Let an endpoint take part. Safe to repeat.

    Raises BaseMissingError or NetworkMissingError where those have to be made first, and CniError where the
    interface is mapped to something else already.
    """
    try:
        nft.run(elements.adding(endpoint))
    except nft.NftError as reason:
        if reason.missing:
            if not base_present():
                raise BaseMissingError from reason
            if not chains_present(endpoint.network_id):
                raise NetworkMissingError(endpoint.network_id) from reason
        if reason.busy:
            raise CniError(
                Code.POLICY,
                f"{endpoint.host_ifname} is mapped to another network or endpoint_to_host already",
                reason.details,
            ) from reason
        raise


def detach(endpoint: EndpointElements) -> None:
    """Take an endpoint out; elements, chains or a whole table that are gone already are no error."""
    try:
        nft.run(elements.deleting(endpoint))
    except nft.NftError as reason:
        if not reason.missing:
            raise
        _detach_what_is_there(endpoint)


def _detach_what_is_there(endpoint: EndpointElements) -> None:
    """The slow way, by listing: after a flush, an ADD that died half-way, or a second DEL."""
    if not base_present():
        return
    there = {
        (body["name"], _key(element))
        for found in nft.list_json(f"list table inet {TABLE}")
        for body in (found.get("set") or found.get("map") or {},)
        for element in body.get("elem", ())
    }
    nft.run(elements.deleting(endpoint, there))


def _key(element: Any) -> str:  # noqa: ANN401 - nft's JSON
    """An element of a listing as elements.py writes its key: an address, a name, or a name and an address."""
    if isinstance(element, list):  # a map's key and verdict
        return f'"{element[0]}"'
    if isinstance(element, dict) and "concat" in element:
        return f'"{element["concat"][0]}" . {element["concat"][1]}'
    return str(element)


def base_present() -> bool:
    """True when the table exists; whether its rules are whole is another question: see intact()."""
    return any(o.get("table", {}).get("name") == TABLE for o in nft.list_json("list tables inet"))


def chains_present(network_id: str) -> bool:
    """True when both of a network's chains exist."""
    names = {o["chain"]["name"] for o in nft.list_json("list chains inet") if _ours(o.get("chain"))}
    return {f"out-{network_id}", f"in-{network_id}"} <= names


def _ours(found: Any) -> bool:  # noqa: ANN401 - nft's JSON
    return bool(found) and found.get("table") == TABLE


def ensure_base(ranges: Iterable[Net]) -> None:
    """Put the base in place or mend it; elements and networks' chains stay. ranges: see set_ranges()."""
    nft.run(base_script() + elements.ranges_script(ranges))


def set_ranges(ranges: Iterable[Net]) -> None:
    """Make these the ranges that masquerade spares: the subnets of every network of this datastore."""
    nft.run(elements.ranges_script(ranges))


def load_network(text: str) -> None:
    """Put a network's sets and chains in place, or swap them: text is what the nftables target wrote."""
    nft.run(text)


def apply_scripts(texts: Iterable[str], to_host: Mapping[str, ToHost] | None = None) -> None:
    """Swap several networks' chains in one transaction.

    to_host: by interface, what endpoint_to_host becomes for endpoints that exist, in the same transaction.
    """
    script = "".join(texts)
    if to_host:
        mapped = {e[0] for o in nft.list_json(f"list map inet {TABLE} to_host") for e in o["map"].get("elem", ())}
        script += elements.changing_to_host({n: v for n, v in to_host.items() if n in mapped})
    nft.run(script)


def restore(endpoints: Sequence[EndpointElements], networks: Mapping[str, str], ranges: Iterable[Net]) -> None:
    """Build the whole table anew, in one transaction: what was there counts for nothing, no packet sees it half done.

    networks: by id, the script of each network whose published profile is fit for use. Endpoints of any other
    network are closed (elements.adding_all).
    """
    script = f"add table inet {TABLE}\ndelete table inet {TABLE}\n{base_script()}{elements.ranges_script(ranges)}"
    script += "".join(networks[i] for i in sorted(networks))
    nft.run(script + elements.adding_all(endpoints, frozenset(networks)))


def remove_network(network_id: str) -> bool:
    """Take a network's chains away, and its sets where no other network's rules name them.

    False when an endpoint of this host still refers to the chains, or they are not there; then nothing changed.
    """
    out, into = f"out-{checked_id(network_id)}", f"in-{network_id}"
    lines = [f"{verb} chain inet {TABLE} {c}" for verb in ("flush", "delete") for c in (out, into)]
    try:
        nft.run("\n".join(lines) + "\n")
    except nft.NftError as reason:
        if reason.busy or reason.missing:
            return False
        raise
    for name in (f"m4-{network_id}", f"m6-{network_id}"):
        try:
            nft.run(f"delete set inet {TABLE} {name}\n")
        except nft.NftError as reason:
            if not (reason.busy or reason.missing):
                raise
    return True


_COMMENT = re.compile(r"(sha256:[0-9a-f]{64})(?: host=(drop|return|accept))?\Z")


def live_networks() -> tuple[LiveNetwork, ...]:
    """Every network with chains in the kernel, by id, with what the comment of their last rules says."""
    if not base_present():
        return ()
    listed = nft.list_json(f"list table inet {TABLE}", elements=False)
    last = {o["chain"]["name"]: "" for o in listed if "chain" in o}
    for rule in (o["rule"] for o in listed if "rule" in o):
        last[rule["chain"]] = rule.get("comment", "") if rule["expr"] == [{"drop": None}] else ""
    ids = {name.partition("-")[2] for name in last if name.startswith(("out-", "in-"))}
    return tuple(_live(i, last.get(f"out-{i}", ""), last.get(f"in-{i}", "")) for i in sorted(ids))


def _live(network_id: str, out: str, into: str) -> LiveNetwork:
    sent, received = _COMMENT.match(out), _COMMENT.match(into)
    if not sent or not received or sent[1] != received[1]:
        return LiveNetwork(network_id)
    return LiveNetwork(network_id, sent[1], ToHost(sent[2]) if sent[2] else None)


def live_digest(network_id: str) -> str | None:
    """The digest that a network's chains carry; None without chains, empty where they carry none."""
    return next((n.digest for n in live_networks() if n.network_id == network_id), None)
