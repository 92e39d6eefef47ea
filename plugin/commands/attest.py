"""A workspace in; that this host's kernel enforces exactly it, or where it does not, out: `calico-rkt attest`."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
from contextlib import suppress
from pathlib import Path

from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.compiler.cli.naming import add_workspace
from calico_rkt.compiler.cli.places import here, named
from calico_rkt.compiler.cli.preface import ended, read_values, say
from calico_rkt.compiler.cli.process import write_stdout
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.review.build import build_world
from calico_rkt.compiler.review.snapshot import World
from calico_rkt.compiler.review.wording import packet_values, place
from calico_rkt.compiler.targets.felix import JUDGED
from calico_rkt.compiler.workspace.assemble import Workspace
from calico_rkt.compiler.workspace.git import Git
from calico_rkt.plugin.attest.begun import so_far
from calico_rkt.plugin.attest.host import all_lost, surroundings, unrecorded, way_out
from calico_rkt.plugin.attest.judge import judge
from calico_rkt.plugin.attest.legacy import legacy_rules
from calico_rkt.plugin.attest.links import beside
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.outcome import DIFFERENT, EQUAL, Attestation, Difference
from calico_rkt.plugin.attest.reading import Seen, read_kernel
from calico_rkt.plugin.attest.record import keep
from calico_rkt.plugin.commands.attest_clusters import in_clusters
from calico_rkt.plugin.enforce.differences import guard_differences, strays
from calico_rkt.plugin.enforce.nft.table import Standing, close_first, standing
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import host_ends
from calico_rkt.plugin.model import Endpoint, only_begun
from calico_rkt.plugin.process.locks import policy_lock
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.publish.host_confs import decided
from calico_rkt.plugin.publish.local import LOCAL
from calico_rkt.plugin.store.folders import folders
from calico_rkt.plugin.store.local import LocalStore, in_order, open_local

EPILOG = """\
examples:
  calico-rkt attest                    this host's own files: does the kernel enforce exactly what they say?
  calico-rkt attest main -C /srv/net   what was reviewed and merged, as it is in git
  calico-rkt attest ./net.d            a folder
  calico-rkt attest --format json

Reads the kernel's whole ruleset, not what was recorded of it; changes nothing. Packets are only thought of, never sent.

exit status: 0 equal; 1 different: each with a packet, the rule in the kernel and the line in the file; 2 bad usage or
input that can't be read; 3 not proven: what could not be decided, and why"""

_PATIENCE = 10.0
_ATTEMPTS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "workspace",
        metavar="DIR|REV",
        type=_word,
        nargs="?",
        help="a folder, a git revision or REV:DIR (default: this host's files)",
    )
    add_workspace(parser, usual="this host's own files", revision=False)
    parser.add_argument("--record", action="store_true", help="keep what it came to for the agent's metrics")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")


def _word(text: str) -> str:
    """A folder or a revision; an empty word, such as an unset variable, names neither."""
    if not text:
        raise argparse.ArgumentTypeError("an empty word; leave it out for this host's own files")
    return text


def run(args: argparse.Namespace) -> int:
    """Attest, print, and with --record keep the outcome, also where nothing could be tried."""
    open_log("info")
    if not args.record:
        return _run(args)
    try:
        return _run(args)
    except (CniError, CompileError):
        keep(folders()[0], "failed")
        raise


def _run(args: argparse.Namespace) -> int:
    for _ in range(_ATTEMPTS):
        workspace, revision = _workspace(args)
        world = build_world(workspace, felix=JUDGED)
        networks = {n.id: n for n in world.networks.values() if world.confs[n.name].datastore_type == LOCAL}
        found = _with(_attested(Wanted(networks, ())), in_clusters(world.confs, world.networks))
        total = _digest_of(world)
        # What was reviewed may have been changed and applied while the kernel was looked at.
        if found.status == EQUAL or total == _digest_of(build_world(_workspace(args)[0], felix=JUDGED)):
            break
    else:
        found = dataclasses.replace(found, differences=(), open=(*found.open, "the files are being changed"))
    if args.record:
        counts = len(found.differences), len(found.open)
        keep(folders()[0], _outcome(found), digest=f"sha256:{total}", differences=counts[0], open_=counts[1])
    say(args.format, workspace)
    if args.format == "json":
        values = _values(found, f"sha256:{total}", revision) | {"table": _of_table(found) or None}
        write_stdout(document("attest", values, read_values(workspace)))
    else:
        write_stdout(_text(found, f"sha256:{total}", revision, _of_table(found)))
    return ended(found.status, workspace)


def _digest_of(world: World) -> str:
    networks = {n.id: n for n in world.networks.values()}
    return hashlib.sha256("".join(f"{i} {digest(n)}\n" for i, n in sorted(networks.items())).encode()).hexdigest()


def _with(found: Attestation, more: Attestation) -> Attestation:
    return dataclasses.replace(
        found,
        differences=(*found.differences, *more.differences),
        open=(*found.open, *more.open),
        endpoints=found.endpoints + more.endpoints,
        networks=found.networks + more.networks,
    )


def _workspace(args: argparse.Namespace) -> tuple[Workspace, str]:
    """What was reviewed, and the commit that it is of; empty where it is of none."""
    if args.workspace is None and args.folder is None:
        return decided(None, args.profiles).workspace, ""
    workspace = here(args) if args.workspace is None else named(args.workspace, args)
    folder = args.folder or Path()
    if workspace.sources.kind == "revision":
        return workspace, Git(folder).commit(args.workspace.partition(":")[0])
    with suppress(CompileError):
        at = Path(args.workspace) if args.workspace is not None else folder
        git = Git(at)
        status, changed, _ = git.run("status", "--porcelain", "--", str(at.absolute()))
        if not status and not changed:
            return workspace, git.commit("HEAD")
    return workspace, ""


def _attested(reviewed: Wanted) -> Attestation:
    """Nobody waits for a look that finds nothing; one that finds something may have met an ADD half way.

    Where changes leave no time for a look, they wait for one.
    """
    store = open_local()
    try:
        found = _at_a_glance(reviewed, store)
        if found is not None and found.status == EQUAL:
            return found
        try:
            with policy_lock(store.run_dir, patience=_PATIENCE, meanwhile=close_first):
                looked = _looked(reviewed, store)
        except CniError as e:
            if e.code != Code.TRY_AGAIN:
                raise
            under_way = "; ".join(filter(None, (f"a change is under way: {e.msg}", e.details)))
            found = found or Attestation()
            return dataclasses.replace(found, differences=(), open=(*found.open, under_way))
    finally:
        store.close()
    return _of(*looked)


def _at_a_glance(reviewed: Wanted, store: LocalStore) -> Attestation | None:
    """What a look finds that nobody waits for; None where changes left no time for one."""
    try:
        return _of(*_looked(reviewed, store))
    except CniError as e:
        if e.code != Code.TRY_AGAIN:
            raise
        return None


_Looked = tuple[Wanted, Seen, list[tuple[str, str]], tuple[str, ...]]


def _looked(reviewed: Wanted, store: LocalStore) -> _Looked:
    there = store.is_there()
    subnets = store.subnets()  # first: a range that is not among it belongs to no endpoint that has to be there
    endpoints = store.endpoints() if there else ()
    begun = only_begun(endpoints)
    uplink, host = way_out()
    wanted = dataclasses.replace(
        reviewed,
        endpoints=tuple(map(_known, endpoints)),
        ranges=in_order(subnets, begun),
        uplink=uplink,
        host={**reviewed.host, **host},
    )
    spoken = {a for e in endpoints for a in e.addresses}
    if any(e.ip_masq for e in endpoints):
        spoken |= set(host.values())
    around = (*legacy_rules(), *beside({e.host_ifname for e in endpoints}, uplink, spoken)) if endpoints else ()
    wanted = dataclasses.replace(surroundings(wanted), unmarked=not around)
    if there:
        lacking = strays(store, endpoints)
    else:
        lacking = ("host ends of ours are up, and no record says whose they are",) if unrecorded() else ()
    settled = [e for e in endpoints if e.result]
    problems = [(e.host_ifname, words) for e, words in host_ends.host_end_differences(settled, for_all=True)]
    open_ = (*around, *lacking, *guard_differences(store), *store.damaged)
    seen = read_kernel()
    return so_far(wanted, seen, {object_id(n): subnets.get(n, ()) for n in begun}), seen, problems, open_


def _known(endpoint: Endpoint) -> Known:
    key = endpoint.key
    return Known(
        f"{key.container} {key.ifname}",
        object_id(key.network),
        endpoint.host_ifname,
        endpoint.addresses,
        endpoint.ip_masq,
        bool(endpoint.result),
    )


def _of(wanted: Wanted, seen: Seen, problems: list[tuple[str, str]], more: tuple[str, ...]) -> Attestation:
    found = judge(seen, wanted)
    differences, open_ = all_lost(wanted, problems)
    return dataclasses.replace(found, differences=(*found.differences, *differences), open=(*found.open, *open_, *more))


def _of_table(found: Attestation) -> str:
    """What all of the differences may come from, where the table is whole and of another build, and what to do."""
    how = standing() if found.differences else Standing.WHOLE
    if how is Standing.OLDER:
        return f"the nftables table is {how.value}: calico-rkt restore makes it as this build does"
    return f"the nftables table is {how.value}: use the newer build" if how is Standing.NEWER else ""


def _text(found: Attestation, total: str, revision: str, table: str) -> str:
    lines = []
    for one in found.differences:
        where = f", {place(one.span)}" if one.span else ""
        lines += [
            f"differs: {one.what}",
            *([f"  packet    {one.packet_words}"] if one.packet_words else []),
            f"  kernel    {one.kernel}{f': {one.rule}' if one.rule else ''}",
            f"  reviewed  {one.reviewed}{where}",
        ]
    lines += [f"not proven: {words}" for words in found.open]
    lines += [f"alike: {words}: no packet fares differently by it" for words in found.alike]
    head = {
        EQUAL: "equal: the kernel enforces exactly this",
        DIFFERENT: "different: the kernel enforces something else",
    }
    lines.append(head.get(found.status, "not proven: nothing differs that could be decided"))
    lines += [f"  {table}"] if table else []
    of = f"revision {revision}" if revision else "no revision (not a clean checkout)"
    lines.append(f"  {found.networks} networks, {found.endpoints} endpoints, {of}, digest {total}")
    return "\n".join(lines) + "\n"


def _outcome(found: Attestation) -> str:
    return {EQUAL: "equal", DIFFERENT: "different"}.get(found.status, "not proven")


def _values(found: Attestation, total: str, revision: str) -> dict[str, object]:
    return {
        "outcome": _outcome(found),
        "digest": total,
        "revision": revision or None,
        "networks": found.networks,
        "endpoints": found.endpoints,
        "differences": [_difference(d) for d in found.differences],
        "not_proven": list(found.open),
        "alike": list(found.alike),
    }


def _difference(one: Difference) -> dict[str, object]:
    packet = one.witness.opening(None, None) if one.witness is not None else one.opening
    return {
        "what": one.what,
        "packet": one.packet_words,
        "packet_values": packet_values(packet) if packet is not None else None,
        "kind": one.witness.kind.name.lower() if one.witness is not None else "in one chain",
        "from": one.witness.iif if one.witness is not None else None,
        "to": one.witness.oif if one.witness is not None else None,
        "kernel": one.kernel,
        "rule": one.rule or None,
        "reviewed": one.reviewed,
        "line": place(one.span) or None,
    }
