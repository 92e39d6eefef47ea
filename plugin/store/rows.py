"""Entries of a host's tables in, the endpoints that they record out, and back; in the transaction of who asks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_network
from json.encoder import encode_basestring_ascii as _quoted

from calico_rkt.compiler.conf.netconf import Address, Net
from calico_rkt.compiler.typed import TypedDict
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.log.tables import ENDPOINTS, RESULTS, SUBNETS, Tables
from calico_rkt.plugin.store.log.texts import decode_address, encode_address, text_of
from calico_rkt.plugin.store.protocol import DamagedRecordError, Remains, checked_ifname

FIELDS = (
    *("nonce", "netns", "netns_dev", "netns_inode", "host_ifname", "mac", "ip_masq"),
    *("home_dev", "home_inode", "members", "node"),
)
"""What stands behind an endpoint's addresses, in this order."""
_LINE = "\n"


def key_of(network: object, container: object, ifname: object) -> str:
    """What an endpoint is called in its table."""
    return text_of([network, container, ifname])


def _key(key: Key) -> str:
    """The same of texts."""
    return f"[{_quoted(key.network)},{_quoted(key.container)},{_quoted(key.ifname)}]"


def endpoint_of(tables: Tables, key: Key) -> Endpoint | None:
    """An attachment as it is recorded, or None; DamagedRecordError where its entry can't be read."""
    name = _key(key)
    value = tables.get(ENDPOINTS, name)
    return None if value is None else from_entry(name, value, tables.get(RESULTS, name))


def is_recorded(tables: Tables, key: Key) -> bool:
    """Whether there is an entry, readable or not."""
    return tables.get(ENDPOINTS, _key(key)) is not None


def addresses_of(tables: Tables, key: Key) -> list[Address]:
    """The addresses that an endpoint holds, those of them that can be read."""
    value = tables.get(ENDPOINTS, _key(key)) or "[]"
    found = []
    for text in json.loads(value.partition("\t")[0]):
        try:
            found.append(decode_address(text))
        except (ValueError, TypeError, IndexError):
            continue
    return found


def every(tables: Tables, network: str | None) -> Iterator[tuple[str, str, str | None]]:
    """What from_entry() takes, of all endpoints or of one network's."""
    start = "" if network is None else f"[{text_of(network)},"
    results = tables.of(RESULTS)
    for name, value in tables.of(ENDPOINTS).items():
        if name.startswith(start):
            yield name, value, results.get(name)


def recorded(tables: Tables) -> tuple[tuple[str, str], ...]:
    """The same of all endpoints, without their results, as it stands now."""
    return tuple(tables.of(ENDPOINTS).items())


def network_of(name: str) -> str:
    """The network in an endpoint's key, whatever else that says."""
    if name.startswith('["') and "\\" not in name:
        return name[2 : name.index('"', 2)]
    return str(json.loads(name)[0])


def networks(tables: Tables) -> set[str]:
    """The names of all networks that have an endpoint, one that can't be read among them."""
    return set(map(network_of, tables.of(ENDPOINTS)))


def attached(tables: Tables) -> set[str]:
    """The names of the networks that an ADD has finished in, of those whose endpoint is still here."""
    return set(map(network_of, tables.of(RESULTS)))


def counts(tables: Tables) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """How many endpoints, and how many addresses, each network has; those that can't be read among them."""
    return Counter(map(network_of, tables.of(ENDPOINTS))), Counter(map(network_of, tables.held.holders.values()))


def finish(tables: Tables, key: Key, nonce: str, result: str) -> bool:
    """Record an ADD's result, where the endpoint still has this nonce; whether it has."""
    name = _key(key)
    value = tables.get(ENDPOINTS, name)
    if value is None or not (_says(value, nonce) or _nonce_in(value) == nonce):
        return False
    tables.put(RESULTS, name, _result(nonce, result))
    return True


def _result(nonce: str, result: str) -> str:
    return f"[{_quoted(nonce)},{_quoted(result)}]"


def is_of(tables: Tables, key: Key, nonce: str) -> bool:
    """Whether there is an entry that begins as that of an endpoint with this nonce does; then it is its entry."""
    return _says(tables.get(ENDPOINTS, _key(key)) or "", nonce)


def _says(value: str, nonce: str) -> bool:
    return value.partition("\t")[2].startswith(f"[{_quoted(nonce)},")


def nonce_of(tables: Tables, key: Key) -> object:
    """The nonce that an endpoint is recorded with; None where there is none."""
    value = tables.get(ENDPOINTS, _key(key))
    return None if value is None else _nonce_in(value)


def delete(tables: Tables, key: Key) -> None:
    """Drop an endpoint and its result; its addresses are nobody's then."""
    tables.drop(ENDPOINTS, _key(key))
    tables.drop(RESULTS, _key(key))


def _nonce_in(value: str) -> object:
    found: list[object] | None = json.loads(value.partition("\t")[2])
    return (found or [None])[0]


_AWAY = "a DEL takes it away; where its container is gone and none comes, calico-rkt gc --force --attachment {}"


def remains_of(tables: Tables, key: Key) -> Remains:
    """What of an endpoint's entry can be read though from_entry() refuses it."""
    value, result = (tables.get(table, _key(key)) or "" for table in (ENDPOINTS, RESULTS))
    try:
        fields: object = json.loads(value.partition("\t")[2])
    except (ValueError, RecursionError):
        fields = []
    _, netns, *rest = fields if isinstance(fields, list) and len(fields) > 1 else ("", "")
    numbers = [number if isinstance(number, int) else 0 for number in (*rest, *[0] * 7)]
    lends = '"ipam' in result.replace("\\", "")
    return Remains(netns if isinstance(netns, str) else "", (numbers[0], numbers[1]), (numbers[5], numbers[6]), lends)


def from_entry(name: str, value: str, result: str | None) -> Endpoint:
    """The endpoint of an entry and its result; DamagedRecordError where they are not what insert_endpoint() writes."""
    parts = json.loads(name)
    key = Key(*parts)
    try:
        held, _, rest = value.partition("\t")
        nonce, netns, dev, inode, host_ifname, mac, ip_masq, *origin = json.loads(rest)
        of, said = json.loads(result) if result is not None else (nonce, "")
        texts = (*parts, nonce, netns, host_ifname, mac, said)
        if {*map(type, texts)} != {str}:
            raise TypeError("a text is none")
        return Endpoint(
            key=key,
            nonce=nonce,
            netns=netns,
            netns_dev=int(dev),
            netns_inode=int(inode),
            host_ifname=checked_ifname(host_ifname),
            mac=mac,
            addresses=tuple(decode_address(text) for text in json.loads(held)),
            ip_masq=bool(ip_masq),
            result=said if of == nonce else "",
            **_origin(*origin),
        )
    except (ValueError, TypeError, IndexError) as e:
        who = f"{key.ifname!r} of container {key.container!r} in network {key.network!r}"
        raise DamagedRecordError(Code.IO, f"the record of {who} is damaged: {e}", _AWAY.format(key)) from e


class _Origin(TypedDict):
    home: tuple[int, int]
    members: tuple[str, ...]
    node: str


def _origin(dev: object, inode: object, members: object, node: object) -> _Origin:
    """Where an attachment was made; what is not there, or damaged, is empty."""
    return {
        "home": (dev, inode) if isinstance(dev, int) and isinstance(inode, int) else (0, 0),
        "members": tuple(members.split("\n")) if members and isinstance(members, str) else (),
        "node": node if isinstance(node, str) else "",
    }


def insert_endpoint(tables: Tables, e: Endpoint) -> None:
    """Record an endpoint, and its result where it has one: its addresses, and FIELDS."""
    name = _key(e.key)
    netns = f"{_quoted(e.netns)},{e.netns_dev:d},{e.netns_inode:d}"
    ends = f"{_quoted(e.host_ifname)},{_quoted(e.mac)},{e.ip_masq:d}"
    origin = f"{e.home[0]:d},{e.home[1]:d},{_quoted(_LINE.join(e.members))},{_quoted(e.node)}"
    held = text_of([encode_address(a) for a in e.addresses])
    tables.put(ENDPOINTS, name, f"{held}\t[{_quoted(e.nonce)},{netns},{ends},{origin}]")
    if e.result:
        tables.put(RESULTS, name, _result(e.nonce, e.result))


def refuse_taken(tables: Tables, address: Address) -> None:
    """CniError 102 where an endpoint has the address."""
    holder = tables.holder(address)
    if holder is not None:
        network, container, ifname = json.loads(holder)
        raise CniError(
            Code.ADDRESS_TAKEN,
            f"{address} is taken by {ifname} of container {container} in network {network!r}",
        )


def record_subnets(tables: Tables, network: str, wanted: frozenset[str], known: frozenset[str]) -> None:
    """Note a conf's subnets, beside those known; one that it names no more goes when no endpoint is in it."""
    if known == wanted:
        return
    stays = {text for text in known - wanted if _is_used(tables, network, text)}
    if stays | wanted != known:
        tables.put(SUBNETS, text_of(network), text_of(sorted(stays | wanted)))


def _is_used(tables: Tables, network: str, subnet: str) -> bool:
    """Whether an endpoint of this network has an address there; what is no subnet has none."""
    try:
        net: Net = ip_network(subnet)
    except ValueError:
        return False
    first, last = encode_address(net[0]), encode_address(net[-1])
    start = f"[{text_of(network)},"
    return any(first <= a <= last and key.startswith(start) for a, key in tables.held.holders.items())


def subnets_of(tables: Tables, network: str) -> frozenset[str]:
    """What a network took addresses from, as it is written."""
    return _texts_in(tables.get(SUBNETS, text_of(network)) or "[]")


@lru_cache(maxsize=64)
def _texts_in(value: str) -> frozenset[str]:
    return frozenset([text for text in json.loads(value) if isinstance(text, str)])


def subnets(tables: Tables) -> Iterator[tuple[str, list[str]]]:
    """The same of all networks, with what is no text among it."""
    for name, value in tables.of(SUBNETS).items():
        yield json.loads(name), [str(text) for text in json.loads(value)]
