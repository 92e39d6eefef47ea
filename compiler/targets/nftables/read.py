"""nftables text in, the rules that it puts in force out; words that it does not know are an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.model import USUAL_LOG_LIMIT, Action, LogLimit, Rule, ToHost
from calico_rkt.compiler.targets.nftables.read_rule import Drop, read_limit, read_line
from calico_rkt.compiler.targets.readback import ReadBack, unreadable

if TYPE_CHECKING:  # few texts have what leads ports to chains
    from calico_rkt.compiler.targets.nftables.leads import Lead

_TOKEN = re.compile(r'"[^"\n]*"|[{};,\n]|!=|[^\s{};,"]+')
_TABLE = ["table", "inet", "calico_rkt"]
_TYPES = {"m4": "ipv4_addr", "m6": "ipv6_addr", "all4": "ipv4_addr", "all6": "ipv6_addr"}
_MARK = re.compile(r"(sha256:[0-9a-f]{64})(?: host=(\w+))?(?: chains=([1-9][0-9]*))?")


@dataclass(slots=True)
class _Found:
    sets: set[str] = field(default_factory=set)
    flushed: set[str] = field(default_factory=set)
    rules: dict[str, list[Rule | Lead]] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    limits: set[LogLimit] = field(default_factory=set)


def read_nftables(text: str) -> ReadBack:
    """The policy of one network's text. Raises CompileError (CR510) for anything else.

    Read as nft does it: `return` lets the packet go on, `drop` at the end denies the rest, rules are added to
    what a chain holds already unless it was flushed, a set has to be declared before a rule looks into it.
    """
    found = _Found()
    lines = _lines(text)
    for line in lines:
        if line[:3] == _TABLE and line[3:] == ["{"]:
            _table(lines, found)
        elif line[:2] == ["flush", "chain"] and line[2:4] == _TABLE[1:] and len(line) == 5:
            found.flushed.add(line[4])
        else:
            raise _bad(f"what is `{' '.join(line)}`?")
    return _read_back(found)


def _lines(text: str) -> Iterator[list[str]]:
    """The tokens of each line, those of a map as of one; a `{` or `}` of a block ends a line, a comment is none."""
    a_map: list[str] = []
    for raw in text.split("\n"):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        tokens = _TOKEN.findall(line)
        if "".join(tokens).replace(" ", "") != line.replace(" ", "").replace("\t", ""):
            raise _bad(f"what is `{line}`?")
        if a_map or tokens[-2:] == ["vmap", "{"]:
            a_map += tokens
            if tokens != ["}"]:
                continue
            tokens, a_map = a_map, []
        yield tokens
    if a_map:
        raise _bad("a map is not closed")


def _table(lines: Iterator[list[str]], found: _Found) -> None:
    for line in lines:
        match line:
            case ["}"]:
                return
            case ["set", name, "{", "type", kind, ";", "}"]:
                _declare(name, kind, found)
            case ["set", name, "{"]:
                _declare(name, _type(lines), found)
            case ["chain", name, "{", "}"]:
                found.rules.setdefault(name, [])
            case ["chain", name, "{"]:
                _chain(name, lines, found)
            case _:
                raise _bad(f"what is `{' '.join(line)}`?")
    raise _bad("a table is not closed")


def _type(lines: Iterator[list[str]]) -> str:
    match [next(lines, []), next(lines, [])]:
        case [["type", kind], ["}"]]:
            return kind
    raise _bad("a set is more than its type")


def _declare(name: str, kind: str, found: _Found) -> None:
    if _TYPES.get(name if name.startswith("all") else name.partition("-")[0]) != kind:
        raise _bad(f"the set {name} has type {kind}")
    found.sets.add(name)


def _chain(name: str, lines: Iterator[list[str]], found: _Found) -> None:
    rules = found.rules.setdefault(name, [])
    if name not in found.flushed or name in found.marks:
        raise _bad(f"the chain {name} is not flushed before its rules, or has two bodies")
    for line in lines:
        if line == ["}"]:
            break
        if name in found.marks:
            raise _bad(f"the chain {name} goes on after its end")
        if "limit" in line:
            found.limits.add(read_limit(line[line.index("limit") :]) or USUAL_LOG_LIMIT)
        if "goto" in line:
            from calico_rkt.compiler.targets.nftables.leads import read_leads

            rules += read_leads(line)
            continue
        for rule in read_line(line, found.sets):
            if isinstance(rule, Drop):
                found.marks[name] = rule.comment
            else:
                rules.append(rule)
    if name not in found.marks:
        raise _bad(f"the chain {name} does not end with a drop that carries the digest: the rest would pass")


def _read_back(found: _Found) -> ReadBack:
    names = sorted(name for name in found.rules if "/" not in name)
    if len(names) != 2 or names[0].removeprefix("in-") != names[1].removeprefix("out-") or names[0] == names[1]:
        raise _bad(f"not one chain in-ID and one out-ID, but {', '.join(names) or 'no chain'}")
    into, out = names
    network_id = into.removeprefix("in-")
    marks = [_MARK.fullmatch(found.marks.get(name, "")) for name in names]
    if marks[0] is None or marks[1] is None or marks[0][1] != marks[1][1] or marks[0][2] is not None:
        raise _bad("the chains' comments do not hold one digest")
    for name, mark in zip(names, marks, strict=True):
        if mark is not None:
            _numbered(name, int(mark[3] or 0), mark[1], found)
    if marks[1][2] not in {known.value for known in ToHost}:
        raise _bad(f"{out} says host={marks[1][2]}")
    if not {f"m4-{network_id}", f"m6-{network_id}"} <= found.sets:
        raise _bad("the network's own sets of members are not declared")
    if len(found.limits) > 1:
        raise _bad(f"Log rules have several limits: {', '.join(sorted(map(str, found.limits)))}")
    return ReadBack(
        id=network_id,
        ingress=tuple(_inlined(into, found)),
        egress=tuple(_inlined(out, found)),
        labels=(network_id,),
        digest=marks[0][1],
        endpoint_to_host=ToHost(marks[1][2]),
        log_limit=next(iter(found.limits), None),
        ended=tuple(way for way, name in (("ingress", into), ("egress", out)) if f"{name}/1" in found.rules),
    )


def _numbered(name: str, count: int, digest: str, found: _Found) -> None:
    """The chains that a chain's ports lead to are as many as its comment says, and of the same digest."""
    mine = {other for other in found.rules if other.partition("/")[0] == name and other != name}
    if mine != {f"{name}/{n}" for n in range(1, count + 1)} or any(found.marks.get(m) != digest for m in mine):
        raise _bad(f"the chain {name} does not say which chains belong to it")


def _inlined(name: str, found: _Found, depth: int = 0) -> Iterator[Rule]:
    """The rules of a chain, those of a chain that it leads to in the place where it does.

    Ports lead from the direction's own chain only; from theirs, and from it, all that is left leads to the last one.
    """
    for part in found.rules[name]:
        if isinstance(part, Rule):
            yield part
            continue
        own = name.partition("/")[0]
        if (
            depth > (part.match is None)
            or part.chain.partition("/")[0] != own
            or part.chain == own
            or part.chain not in found.rules
        ):
            raise _bad(f"{name} leads to {part.chain}")
        rules = tuple(_inlined(part.chain, found, depth + 1))
        if any(rule.action is Action.LOG for rule in rules):
            raise _bad(f"a Log in {part.chain}, where only some come by")
        from calico_rkt.compiler.targets.nftables.leads import led

        ended = rules[-1:] == (Rule(Action.DENY),)
        yield from (rule for rule, _ in led(part, rules if ended else (*rules, Rule(Action.DENY))))


def _bad(message: str) -> CompileError:
    return unreadable("nftables", message)
