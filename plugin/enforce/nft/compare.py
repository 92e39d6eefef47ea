"""What the kernel's table should hold in; where it differs, in words, out."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.compiler.diagnostics import cut_short
from calico_rkt.plugin.enforce.nft import elements, libnftables, messages, ruleset, scratch, transactions
from calico_rkt.plugin.enforce.nft.base import base_script
from calico_rkt.plugin.enforce.nft.closing import BESIDE
from calico_rkt.plugin.enforce.nft.elements import TABLE, EndpointElements
from calico_rkt.plugin.enforce.nft.ruleset import Content, Ruleset
from calico_rkt.plugin.enforce.nft.standing import Standing, standing
from calico_rkt.plugin.link.groups import group_of
from calico_rkt.plugin.link.netlink import plain

_MOST = 3  # differences told of one chain
_IFNAME = 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the table should hold.

    networks: by id the scripts, as table.restore takes them; endpoints: those that have to be there as they are;
    unsettled: those that may be there, in parts or not at all, since an ADD or DEL works on them; idle: networks
    whose chains may be missing as a whole, since no endpoint needs them; kept: networks without a script, whose chains
    may be there all the same; recorded: where these are more than ranges, the others may be there.
    """

    networks: dict[str, str]
    endpoints: Sequence[EndpointElements]
    ranges: Sequence[Net]
    unsettled: Sequence[EndpointElements] = ()
    idle: frozenset[str] = field(default_factory=frozenset)
    kept: frozenset[str] = field(default_factory=frozenset)
    recorded: Sequence[Net] = ()


def table_differences(
    wanted: Wanted, only: Iterable[str] = (), meanwhile: Callable[[], object] = list
) -> tuple[str, ...]:
    """Where the table in the kernel is not what it should be, in words; empty when it is, to the last rule.

    only: the ids of the networks whose chains and elements are asked about, beside the base; all where none is named.
    meanwhile: what else is to be done, once, while another process works.
    """
    found = standing()
    if found is not Standing.WHOLE:
        meanwhile()
        return (f"the nftables table inet {TABLE} is {found.value}",)
    scripts = "".join(wanted.networks[i] for i in sorted(wanted.networks))
    script = base_script() + elements.ranges_script(wanted.ranges) + scripts
    making = scratch.making(script)
    try:
        meanwhile()
        with transactions.held() as socket:
            actual = ruleset.read_ruleset(socket)
            shut = socket.flags(BESIDE) is not None
    finally:
        expected = making()
    asked = frozenset(only)
    beside = (f"the nftables table inet {BESIDE} stands beside it and drops packets of ours",) if shut else ()
    if set(wanted.recorded) - set(wanted.ranges):
        _allow_recorded(expected, actual, wanted.recorded)
    return (*beside, *_chains(expected, script, actual, wanted, asked), *_sets(expected, actual, wanted, asked))


def _allow_recorded(expected: Ruleset, actual: Ruleset, recorded: Sequence[Net]) -> None:
    """Expect what the kernel has of ranges, where that is all recorded ones, or some of them beside those needed."""
    every = scratch.made_of(base_script() + elements.ranges_script(recorded))
    for name in ("pools4", "pools6"):
        have, needed, all_ = (r.elements.get(name, frozenset()) for r in (actual, expected, every))
        if have == all_ or needed <= have <= needed | all_:
            expected.elements[name] = have


def _chains(expected: Ruleset, script: str, actual: Ruleset, wanted: Wanted, asked: frozenset[str]) -> Iterator[str]:
    listings: tuple[dict[str, list[str]], dict[str, list[str]]] | None = None
    for name in sorted({*expected.chains, *actual.chains}):
        if asked and _network_of(name) not in (*asked, ""):
            continue
        if name not in actual.chains:
            if _network_of(name) not in wanted.idle:
                yield f"chain {name} is not there"
            continue
        if name not in expected.chains:
            if _network_of(name) in wanted.kept:
                continue
            yield f"chain {name} is none of ours"
            continue
        if (actual.chains[name], actual.rules[name]) == (expected.chains[name], expected.rules[name]):
            continue
        if listings is None:  # they give words for what differs, and mostly nothing does
            here = libnftables.listed(f"list table inet {TABLE}")
            listings = _sections(scratch.listed(script)), _sections(here)
        yield from _chain(name, *(listed.get(name, []) for listed in listings))


def _network_of(chain: str) -> str:
    kind, _, network_id = chain.partition("/")[0].partition("-")
    return network_id if kind in ("out", "in", "host") else ""


def _chain(name: str, wanted: list[str], have: list[str]) -> Iterator[str]:
    """How the listing of one chain differs: the line with its hook, where there is one, and its rules by number."""
    hooked = [lines[:1] if lines and lines[0].startswith("type ") else [] for lines in (wanted, have)]
    if hooked[0] != hooked[1]:
        yield f"chain {name} has {_quoted(hooked[1])}, and should have {_quoted(hooked[0])}"
    wanted, have = wanted[len(hooked[0]) :], have[len(hooked[1]) :]
    told = 0
    for kind, a, b, c, d in difflib.SequenceMatcher(None, wanted, have, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        told += 1
        if told > _MOST:
            yield f"chain {name} differs in more rules"
            return
        if kind == "insert":
            yield f"chain {name}, rule {c + 1}: {_quoted(have[c:d])} should not be there"
        elif kind == "delete":
            yield f"chain {name}, rule {c + 1}: {_quoted(wanted[a:b])} should be there"
        else:
            yield f"chain {name}, rule {c + 1}: {_quoted(have[c:d])} should be {_quoted(wanted[a:b])}"
    if not told and hooked[0] == hooked[1]:
        yield f"chain {name} differs in what nft does not list (nft --debug=netlink list chain inet {TABLE} {name})"


def _quoted(lines: Sequence[str]) -> str:
    return "; ".join(f"`{line}`" for line in lines[:_MOST]) + ("; ..." if len(lines) > _MOST else "") or "none"


def _sections(text: str) -> dict[str, list[str]]:
    """The lines of each chain in a listing."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        if line.startswith("\tchain "):
            current = found.setdefault(line.split()[1], [])
        elif line == "\t}":
            current = None
        elif current is not None and line.strip():
            current.append(line.strip())
    return found


def _sets(expected: Ruleset, actual: Ruleset, wanted: Wanted, asked: frozenset[str]) -> Iterator[str]:
    """Kinds of sets that differ, then elements that are missing or too many."""
    closed = {e.network_id for e in wanted.endpoints} - set(wanted.networks)
    members = {f"m{v}-{i}" for i in closed for v in (4, 6)}
    for name in sorted(expected.sets):
        if name not in actual.sets:
            if name.partition("-")[2] not in wanted.idle:
                yield f"set {name} is not there"
        elif actual.sets[name] != expected.sets[name]:
            yield f"set {name} is of another type"
    need = {name: set(found) for name, found in expected.elements.items()}
    may: dict[str, set[Content]] = {}
    let_in = set(elements.let_in(wanted.endpoints, wanted.networks))
    for endpoint in wanted.endpoints:
        _note(need, endpoint, own=endpoint in let_in)
    for endpoint in wanted.unsettled:
        _note(may, endpoint, own=True)
    for network_id in (
        wanted.idle & set(wanted.networks) | wanted.kept
    ):  # its chains may be missing as a whole, and so may these
        for name, kind in elements.CHAIN_OF_MAP.items():
            content = Content(messages.group_key(group_of(network_id)), f"{kind}-{network_id}")
            need.get(name, set()).discard(content)
            may.setdefault(name, set()).add(content)
    for name in sorted({*need, *actual.elements}):
        if asked and "-" in name and name.partition("-")[2] not in asked:
            continue
        if name not in actual.sets and name in members:
            yield f"set {name} is not there"
        have, should = actual.elements.get(name, frozenset()), need.get(name, set())
        missing: set[Content] = should - have - may.get(name, set())
        more = set() if asked else set(have) - should - may.get(name, set())
        yield from _told(f"{_kind(name)} {name} lacks", name, missing)
        yield from _told(f"{_kind(name)} {name} has what no endpoint of ours has:", name, more)


def _note(into: dict[str, set[Content]], endpoint: EndpointElements, *, own: bool) -> None:
    for name, key in messages.elements(endpoint):
        if own or name != "endpoints":
            into.setdefault(name, set()).add(Content(key))


def _told(words: str, name: str, found: set[Content]) -> Iterator[str]:
    shown = sorted(_content(name, c) for c in found)
    if shown:
        yield f"{words} {cut_short(shown, _MOST)}"


def _kind(name: str) -> str:
    return "map" if name in elements.CHAIN_OF_MAP else "set"


def _content(name: str, content: Content) -> str:
    key = content.key
    if not key:
        words = "*"  # all keys that no other element has
    elif _kind(name) == "map":
        words = _group(key)
    elif name == "endpoints":
        words = f"{plain(key[:_IFNAME])} . {_group(key[_IFNAME:])}"
    elif name.startswith("source"):
        words = f"{plain(key[:_IFNAME])} . {_address(key[_IFNAME:])}"
    else:
        words = _address(key)
    return f"{words} : goto {content.chain}" if content.chain else words


def _group(key: bytes) -> str:
    return str(int.from_bytes(key, sys.byteorder))


def _address(key: bytes) -> str:
    return str(ip_address(key)) if len(key) in (4, 16) else key.hex()
