"""Two ends and a kind of packet in, its fate and who decides it out: `calico-rkt explain`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from difflib import get_close_matches

from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.compiler.cli.naming import add_workspace
from calico_rkt.compiler.cli.packet import add_ends, parse_packet
from calico_rkt.compiler.cli.places import workspace_of
from calico_rkt.compiler.cli.preface import ended, read_values, say
from calico_rkt.compiler.cli.process import write_stdout
from calico_rkt.compiler.diagnostics import CompileError, error, printable
from calico_rkt.compiler.grammar.expectations import Expectation, ExpectedEnd, parse_addresses
from calico_rkt.compiler.ir.model import Action, NameRef
from calico_rkt.compiler.packets.wording import packet_words
from calico_rkt.compiler.review.build import build_world
from calico_rkt.compiler.review.expect import why_empty
from calico_rkt.compiler.review.explain import Case, cases
from calico_rkt.compiler.review.matrix import MOST_FLOWS
from calico_rkt.compiler.review.snapshot import World
from calico_rkt.compiler.review.wording import fate_values, packet_values, rule_words, verdict_words
from calico_rkt.compiler.text.values import BadValueError
from calico_rkt.compiler.workspace.assemble import Workspace

EPILOG = """\
FROM and TO: a network's name, an address or CIDR, outside, or host. PACKET: tcp/80, udp, icmp/8,
icmpv6/128/0, protocol/47.

examples:
  calico-rkt explain frontend web tcp/80
  calico-rkt explain outside web            every case of every packet
  calico-rkt explain web 192.0.2.7 udp/53 -C net.d --revision main

exit status: 0 answered, 2 bad usage, unreadable input, or a pair that is not decided"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_ends(parser)
    add_workspace(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    match = parse_packet(args.packet)
    workspace = workspace_of(args)
    world = build_world(workspace)
    ends = [end_of(world, args.source), end_of(world, args.destination)]
    question = Expectation("", ends[0], ends[1], Action.ALLOW, (match,))
    undecided: list[str] = []
    found = list(cases(world, question, undecided))
    if not found and not undecided:
        message = f"no packet goes from {args.source} to {args.destination}"
        raise CompileError([error("CR819", message, hint=why_empty(world, question))])
    return print_cases(args.format, workspace, found, undecided)


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


def end_of(world: World, text: str) -> ExpectedEnd:
    """Who is meant by a word; CR819 where nobody is."""
    if text in world.unreadable:
        raise CompileError([error("CR723", f"undecided: {world.unreadable[text]}")])
    names = {n for p in world.networks.values() for n in (p.name, p.id)}
    if text in names:
        return ExpectedEnd(networks=(NameRef(text),))
    if text in ("outside", "host"):
        return ExpectedEnd(word=text)
    try:
        return ExpectedEnd(net=parse_addresses(text))
    except BadValueError as e:
        near = get_close_matches(text, [*names, "outside", "host"], n=1)
        hint = f"did you mean {near[0]}?" if near else "a network that has a conf here, an address, outside, or host"
        raise CompileError([error("CR819", f"nobody here is called {text!r}", hint=hint)]) from e


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
