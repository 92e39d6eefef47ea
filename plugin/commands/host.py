"""What a command line asks for in, done on this host and in its clusters, an exit status out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.diagnostics import render
from calico_rkt.compiler.workspace.host import HOST_FOLDERS
from calico_rkt.plugin.commands.restore import restore_host
from calico_rkt.plugin.enforce.nft.closing import close_first
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.publish.changes import NONE, Change, ChangedMeanwhileError, Files
from calico_rkt.plugin.publish.confirm import agreed, reviewed, shown
from calico_rkt.plugin.publish.datastores import Side, clusters, complain, opened_cluster, opened_local, tried
from calico_rkt.plugin.publish.host_confs import Decided, confs_of, decided
from calico_rkt.plugin.publish.local import Local

if TYPE_CHECKING:
    from calico_rkt.compiler.review.snapshot import World


def run(args: argparse.Namespace) -> int:
    """Do one of apply, status, prune, gc and restore; the exit status. Raises CniError and CompileError."""
    open_log("info")
    if args.command == "restore":
        return restore_host(if_needed=args.if_needed)
    if args.command == "gc":
        from calico_rkt.plugin.commands.gc import gc

        return gc(args, lambda: clusters(confs_of(args.confs)))
    if args.command == "prune":
        worst = tried(lambda: _here(args, {}, _prune))  # whatever is wrong with a conf
        return max(worst, _in_clusters(args, confs_of(args.confs), _prune))
    first = 0 if args.command == "status" or args.dry_run else tried(_put_in_force)
    found = decided(args.confs, args.profiles)
    if args.command == "status":
        from calico_rkt.plugin.commands.status import status

        return status(found, as_json=args.format == "json", with_agent=not args.no_agent)
    return max(first, _publish(args, found, local=not first))


def _put_in_force() -> int:
    """What is published holds while people read what would change, and whether they agree or not."""
    close_first()  # before any lock and any file
    with opened_local({}) as local:
        if local.put_in_force():
            print("calico-rkt: the host was open or closed, and is restored", file=sys.stderr)
    return 0


def _publish(args: argparse.Namespace, found: Decided, *, local: bool) -> int:
    """local: whether this host's own table is one to change."""
    from calico_rkt.compiler.cli.preface import preface

    print(preface(found.workspace), end="", flush=True)
    print(render(found.told()), end="", file=sys.stderr)
    if found.refusal():
        print("calico-rkt: nothing was changed", file=sys.stderr)
        return 2
    worst = found.status()
    if not _may_apply(args, found):
        return worst
    if local:
        worst = max(worst, tried(lambda: _here(args, found.known, _apply, found.files)))
    return max(worst, _in_clusters(args, found.known, _apply, found.files))


def _here(
    args: argparse.Namespace,
    known: dict[str, NetConf],
    act: Callable[[argparse.Namespace, Side], int],
    files: Files = NONE,
) -> int:
    with opened_local(known, files) as local:
        return act(args, local)


def _in_clusters(
    args: argparse.Namespace,
    known: dict[str, NetConf],
    act: Callable[[argparse.Namespace, Side], int],
    files: Files = NONE,
) -> int:
    """Do the same in every cluster that a conf names; the worst exit status."""

    def do(there: dict[str, NetConf]) -> int:
        with opened_cluster(there, files) as cluster:
            return act(args, cluster)

    return max([tried(partial(do, there)) for there in clusters(known)], default=0)


def _may_apply(args: argparse.Namespace, found: Decided) -> bool:
    """Whether there is something to apply; CniError for a network that no conf names, or none that can be used."""
    known = found.known
    unknown = sorted(set(args.networks) - set(known))
    for bad in found.workspace.unusable:
        if bad.name in unknown:
            raise CniError(Code.INVALID_CONF, f"{bad.words}, so network {bad.name!r} can't be applied")
    if unknown:
        raise CniError(Code.INVALID_CONF, f"no conf names network {unknown[0]!r}", f"known: {', '.join(sorted(known))}")
    if not known:
        print(f"no conf of type calico in {', '.join(map(str, args.confs or HOST_FOLDERS))}: nothing to publish")
    return bool(known)


def _apply(args: argparse.Namespace, side: Side) -> int:
    """Show, ask, publish; in a cluster anew where somebody else published in between."""
    wanted = [n for n in args.networks if n in side.known]
    if not (wanted if args.networks else side.known):
        return 0
    while True:
        changes = side.plan(wanted)
        if not changes:
            print(f"{len(wanted or side.known)} networks, nothing to change")
            _end_flows(args, side, wanted or side.known)
            return 0
        refused = _refused(args, side, changes)
        if refused:
            return refused
        try:
            side.apply(changes)
        except ChangedMeanwhileError as e:
            print(f"calico-rkt: {e.msg}; what is published now:", file=sys.stderr)
            continue
        print(f"applied: {', '.join(c.new.network for c in changes)}")
        _end_flows(args, side, [c.new.network for c in changes])
        return 0


def _refused(args: argparse.Namespace, side: Side, changes: tuple[Change, ...]) -> int:
    """Show the changes; 1 where they must not be made, 0 where they may."""
    for change in changes:
        print(shown(change))
    failing = not reviewed(*_worlds(side, changes))
    edited = [c.new.network for c in changes if c.edited]
    if edited and not args.take_over:
        print(
            f"calico-rkt: {', '.join(edited)}: the published profile was edited by hand; nothing was changed. "
            "--take-over replaces it",
            file=sys.stderr,
        )
        return 1
    if failing and not args.no_tests:
        print(
            "calico-rkt: tests or guardrails would not hold; nothing was changed. --no-tests applies all the same",
            file=sys.stderr,
        )
        return 1
    _say_flows(args, side, changes)
    if args.dry_run:
        return 1
    if not args.yes and not agreed(f"Publish {len(changes)} changed profile{'s' if len(changes) > 1 else ''}?"):
        print("nothing was changed", file=sys.stderr)
        return 1
    return 0


def _say_flows(args: argparse.Namespace, side: Side, changes: tuple[Change, ...]) -> None:
    """How many open flows the changes concern; none of them ends by itself. In a cluster that is Felix's business."""
    if isinstance(side, Local):
        from calico_rkt.plugin.publish import end_flows

        said = end_flows.words(end_flows.concerned(side.store, changes), ending=args.end_flows)
        print(said, end="\n" if said else "")


def _end_flows(args: argparse.Namespace, side: Side, networks: Collection[str]) -> None:
    if not args.end_flows or args.dry_run:
        return
    if not isinstance(side, Local):
        print("calico-rkt: --end-flows ends flows of the local datastore's networks only", file=sys.stderr)
        return
    from calico_rkt.plugin.publish import end_flows

    print(f"ended {end_flows.end_denied(side.store, networks)} open flows that the policy denies")


def _worlds(side: Side, changes: tuple[Change, ...]) -> tuple[World, World]:
    from calico_rkt.plugin.publish.effect import worlds

    return worlds(side.profiles, side.known, changes, side.datastore_type)


def _prune(args: argparse.Namespace, side: Side) -> int:
    gone, failed = side.prune(dry_run=args.dry_run)
    for network_id in gone:
        print(f"{'would delete' if args.dry_run else 'deleted'} profile {network_id}")
    for error in failed:
        complain(error)
    return 2 if failed else 0
