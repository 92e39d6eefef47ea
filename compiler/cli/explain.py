"""Two ends and a kind of packet in, its fate and who decides it out: `calico-rkt explain`."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.compiler.cli.naming import add_workspace
from calico_rkt.compiler.cli.packet import add_ends, parse_packet
from calico_rkt.compiler.cli.places import workspace_of
from calico_rkt.compiler.cli.preface import ended, read_values, say
from calico_rkt.compiler.cli.process import write_stdout
from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.compiler.diagnostics import CompileError, cut_short, error, printable
from calico_rkt.compiler.grammar.expectations import Expectation, ExpectedEnd, parse_addresses
from calico_rkt.compiler.ir.model import Action, Match, NameRef, Side
from calico_rkt.compiler.packets.wording import packet_words
from calico_rkt.compiler.review.build import built
from calico_rkt.compiler.review.expect import why_empty
from calico_rkt.compiler.review.explain import Case, cases
from calico_rkt.compiler.review.matrix import MOST_FLOWS
from calico_rkt.compiler.review.snapshot import World
from calico_rkt.compiler.review.wording import fate_values, packet_values, rule_words, verdict_words
from calico_rkt.compiler.text.values import BadValueError
from calico_rkt.compiler.workspace.assemble import Workspace

_MOST = 3
"""Addresses that a note names."""
EPILOG = """\
FROM and TO: a network's name, an address or CIDR, outside, or host; on a host its own addresses are the host.
PACKET: tcp/80, udp, icmp/8, icmpv6/128/0, protocol/47.

examples:
  calico-rkt explain frontend web tcp/80
  calico-rkt explain outside web            every case of every packet
  calico-rkt explain web 192.0.2.7 udp/53 -C net.d --revision main

exit status: 0 answered, 2 bad usage, unreadable input, a rule that
apply refuses (CR540), or a pair that is not decided"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_ends(parser)
    add_workspace(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print it; the exit status."""
    match = parse_packet(args.packet)
    return answered(args, match, workspace_of(args))


def answered(args: argparse.Namespace, match: Match, workspace: Workspace, own: Collection[Net] = ()) -> int:
    """The same of a workspace. own: addresses of the host, where it is this one that is asked about."""
    workspace, world = built(workspace)
    ends = [end_of(world, args.source, own), end_of(world, args.destination, own)]
    question = Expectation("", ends[0], ends[1], Action.ALLOW, (match,), of_host(ends[0], ends[1], own))
    undecided: list[str] = []
    found = list(cases(world, question, undecided))
    if not found and not undecided:
        message = f"no packet goes from {args.source} to {args.destination}"
        raise CompileError([error("CR819", message, hint=why_empty(world, question))])
    return print_cases(args.format, workspace, found, undecided, notes_of(ends, own))


def print_cases(
    style: str, workspace: Workspace, found: Sequence[Case], undecided: Sequence[str], notes: Sequence[str] = ()
) -> int:
    """Print the answer; the exit status. notes are what has to be known of it."""
    if style == "json":
        body: dict[str, object] = {"cases": [_values(c) for c in found], "undecided": list(undecided)}
        body |= {"notes": list(notes)} if notes else {}
        write_stdout(document("explain", body, read_values(workspace)))
    else:
        say(style, workspace)
        write_stdout("".join(printable(line) + "\n" for line in notes))
        write_stdout("\n".join([*map(_text, found), *(printable(f"undecided: {words}") + "\n" for words in undecided)]))
    return ended(2 if undecided else 0, workspace)


def of_host(source: ExpectedEnd, destination: ExpectedEnd, own: Collection[Net]) -> tuple[Match, ...]:
    """The packets of the host itself among those between two ends that are wider than one address."""
    found = [Match(source=Side(nets=(net,))) for net in _inside(source, own)]
    return (*found, *(Match(destination=Side(nets=(net,))) for net in _inside(destination, own)))


def _inside(end: ExpectedEnd, own: Collection[Net]) -> list[Net]:
    net = end.net
    if net is None or net in own:
        return []
    return sorted((o for o in own if o.version == net.version and o.subnet_of(net)), key=str)  # type: ignore[arg-type]


def notes_of(ends: Iterable[ExpectedEnd], own: Collection[Net]) -> list[str]:
    """What has to be known of ends that are addresses, or have some among them, of the host itself."""
    notes = []
    for end in ends:
        if end.net is not None and end.net in own:
            notes.append(f"{end.net[0]} is an address of this host itself")
        elif held := [str(net[0]) for net in _inside(end, own)]:
            notes.append(f"{cut_short(held, _MOST)} in {end.net} is this host itself, and left out here: ask for it")
    return list(dict.fromkeys(notes))


def end_of(world: World, text: str, own: Collection[Net] = ()) -> ExpectedEnd:
    """Who is meant by a word; CR819 where nobody is. own as in answered."""
    if text in world.unreadable:
        raise CompileError([error("CR723", f"undecided: {world.unreadable[text]}")])
    names = {n for p in world.networks.values() for n in (p.name, p.id)}
    if text in names:
        return ExpectedEnd(networks=(NameRef(text),))
    if text in ("outside", "host"):
        return ExpectedEnd(word=text)
    try:
        net = parse_addresses(text)
    except BadValueError as e:
        near = get_close_matches(text, [*names, "outside", "host"], n=1)
        hint = f"did you mean {near[0]}?" if near else "a network that has a conf here, an address, outside, or host"
        raise CompileError([error("CR819", f"nobody here is called {text!r}", hint=hint)]) from e
    if net.is_loopback or net.is_unspecified:
        hint = "a packet with it never leaves its sender, so no policy decides"
        raise CompileError([error("CR819", f"{text} is an address of every host and container for itself", hint=hint)])
    return ExpectedEnd(net=net, word="host" if net in own else "")


def _text(case: Case) -> str:
    lines = [f"{case.source} -> {case.destination}: {verdict_words(case.fate).upper()}"]
    lines += [f"  {f}" for f in case.flows[:MOST_FLOWS]]
    lines += [f"  {len(case.flows) - MOST_FLOWS} more flows"] if len(case.flows) > MOST_FLOWS else []
    lines.append(f"  such as {packet_words(case.example)}")
    if not case.fate.rules:
        lines.append("  the host reaches its own containers always")
    lines += [f"  {stage.words}: {rule_words(rule)}" for stage, rule in case.fate.rules]
    return "".join(printable(line) + "\n" for line in lines)


def _values(case: Case) -> dict[str, object]:
    return {
        "from": case.source,
        "to": case.destination,
        "flows": [f.values() for f in case.flows],
        "words": [str(f) for f in case.flows],
        "example": packet_values(case.example),
        **fate_values(case.fate),
    }
