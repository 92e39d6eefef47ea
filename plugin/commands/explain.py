"""Two ends and a kind of packet in, its fate and who decides it out; an end may be a container of this host."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_network

from calico_rkt.compiler.cli import explain as by_files
from calico_rkt.compiler.cli.packet import parse_packet
from calico_rkt.compiler.cli.places import workspace_of
from calico_rkt.compiler.conf.netconf import Net
from calico_rkt.compiler.diagnostics import CompileError, error
from calico_rkt.compiler.grammar.expectations import Expectation, ExpectedEnd, parse_addresses
from calico_rkt.compiler.ir.model import Action, Match, NameRef
from calico_rkt.compiler.review.explain import Case, cases
from calico_rkt.compiler.review.snapshot import World
from calico_rkt.compiler.text.values import BadValueError
from calico_rkt.compiler.workspace.assemble import Workspace
from calico_rkt.plugin.containers.listed import Row, has_records, listed
from calico_rkt.plugin.containers.meant import End, Kind, meant
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.link import netlink, state
from calico_rkt.plugin.publish.host_confs import decided
from calico_rkt.plugin.publish.in_force import world_in_force
from calico_rkt.plugin.store.local import open_local

_EXAMPLES, _ENDS = by_files.EPILOG[by_files.EPILOG.index("examples:") :].split("\n\n")
EPILOG = f"""\
FROM and TO: a network's name, an address or CIDR, outside, host, or a container of this host: its name, its id or the
begin of it; container:NAME where a network has that name, too. With a container the answer is about what is in force
on this host, and says where that is not what the files say. PACKET: tcp/80, udp, icmp/8, icmpv6/128/0, protocol/47.

{_EXAMPLES}
  calico-rkt explain web1 db1 tcp/5432      containers, by what is in force

{_ENDS}"""
"""That of the review, which knows no containers."""

add_arguments = by_files.add_arguments


def run(args: argparse.Namespace) -> int:
    """Print it; the exit status. Raises CniError and CompileError."""
    if args.revision is not None:
        return by_files.run(args)
    workspace, match = workspace_of(args), parse_packet(args.packet)
    if workspace.sources.kind != "host":
        return by_files.answered(args, match, workspace)  # confs elsewhere know no containers, and are no host's
    own = _own_addresses()
    if args.folder is not None or not _names_a_container(args, workspace):
        return by_files.answered(args, match, workspace, own)
    host = decided(None, args.profiles)
    rows, _ = listed(host)
    source, destination = (meant(word, rows, host.known) for word in (args.source, args.destination))
    store = open_local()
    try:
        world, notes, refused = world_in_force(host, store)
    finally:
        store.close()
    ends = [list(_ends(world, end, own)) for end in (source, destination)]
    undecided: list[str] = []
    strange: list[str] = []
    found = [
        case
        for one, source_row in ends[0]
        for other, destination_row in ends[1]
        for case in _cases(
            world,
            (one, other),
            (source_row, destination_row),
            match,
            by_files.of_host(one, other, own),
            undecided,
            strange,
        )
    ]
    if not found and not undecided:
        raise CompileError([error("CR819", f"no packet goes from {source} to {destination}", hint=_WHY)])
    named = {n for case in found for n in (case.source, case.destination)}
    networks = _networks(found, named)
    about = [note for note in notes if any(name == note.partition(":")[0] for name in networks)]
    workspace = replace(host.workspace, refused=tuple(d for name in refused if name in networks for d in refused[name]))
    shown = [replace(c, source=_shown(c.source, source), destination=_shown(c.destination, destination)) for c in found]
    notes_of_ends = by_files.notes_of([one for end in ends for one, row in end if row is None], own)
    return by_files.print_cases(
        args.format, workspace, shown, undecided, [*_standing(), *notes_of_ends, *dict.fromkeys(strange), *about]
    )


_WHY = "the two are one container, or have no family in common"


def _networks(found: Iterable[Case], named: set[str]) -> set[str]:
    return named | {stage.network for case in found for stage, _ in case.fate.rules}


def _names_a_container(args: argparse.Namespace, workspace: Workspace) -> bool:
    """Whether a word is none of what the files of this host know."""
    words = (args.source, args.destination)
    if not has_records():
        return False  # who only asks makes no file
    if any(word.startswith("container:") for word in words):
        return True
    known = {"outside", "host", *workspace.every_name}
    return any(word not in known and not _is_address(word) for word in words)


def _is_address(word: str) -> bool:
    try:
        parse_addresses(word)
    except BadValueError:
        return False
    return True


def _own_addresses() -> frozenset[Net]:
    with netlink.Socket() as socket:
        return frozenset(ip_network(address) for _, address, _ in state.addresses(socket))


def _ends(world: World, end: End, own: frozenset[Net]) -> Iterator[tuple[ExpectedEnd, Row | None]]:
    """What an end is to the review; a container is each of its addresses, in the network that it has it of."""
    if end.kind is not Kind.CONTAINER:
        yield by_files.end_of(world, end.word.removeprefix("network:"), own), None
        return
    for row in end.rows:
        if row.network not in world.networks and row.network not in world.unreadable:
            message = f"undecided: the network {row.network!r} of {row.shown} has no conf here"
            raise CompileError([error("CR819", message, hint="put its conf back: calico-rkt status names it")])
        by_files.end_of(world, row.network)  # refused where its conf can't be used
        for address in row.addresses:
            yield ExpectedEnd(net=ip_network(address)), row


def _cases(
    world: World,
    ends: tuple[ExpectedEnd, ExpectedEnd],
    rows: tuple[Row | None, Row | None],
    match: Match,
    less: tuple[Match, ...],
    undecided: list[str],
    notes: list[str],
) -> Iterator[Case]:
    nets = [end.net for end in ends]
    if nets[0] is not None and nets[1] is not None and (nets[0].version != nets[1].version or nets[0] == nets[1]):
        return
    found = _of(world, ends, rows, match, less, undecided)
    if not found and any(rows):
        # An address that its network's conf has no more: what holds for every endpoint of the network holds for it.
        notes.extend(
            f"{r.shown}: {', '.join(r.addresses)} is not among the addresses of {r.network}" for r in rows if r
        )
        wider = [ExpectedEnd(networks=(NameRef(r.network),)) if r else e for e, r in zip(ends, rows, strict=True)]
        found = _of(world, (wider[0], wider[1]), rows, match, less, undecided)
    yield from found


def _of(
    world: World,
    ends: tuple[ExpectedEnd, ExpectedEnd],
    rows: tuple[Row | None, Row | None],
    match: Match,
    less: tuple[Match, ...],
    undecided: list[str],
) -> list[Case]:
    question = Expectation("", *ends, Action.ALLOW, (match,), less)
    source, destination = (row.network if row else None for row in rows)
    return [
        c
        for c in cases(world, question, undecided)
        if source in (None, c.source) and destination in (None, c.destination)
    ]


def _shown(party: str, end: End) -> str:
    return f"{end.rows[0].shown} ({party})" if end.kind is Kind.CONTAINER else party


def _standing() -> tuple[str, ...]:
    """What packets meet is another thing where no policy is in force."""
    words = table.why_not_in_force()
    return (f"{words}: calico-rkt status; calico-rkt restore",) if words else ()
