"""What the host's files compile to, published after it was shown and agreed to: `calico-rkt apply`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from calico_rkt.compiler.cli.process import coloured, say_done
from calico_rkt.compiler.diagnostics import counted, render_diagnostics
from calico_rkt.compiler.workspace.host import HOST_FOLDERS
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.commands.sides import here, in_clusters
from calico_rkt.plugin.enforce.nft.closing import close_first
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.publish.changes import ChangedMeanwhileError, HalfDoneError, ProfileChange
from calico_rkt.plugin.publish.confirm import agreed, reviewed, shown_change
from calico_rkt.plugin.publish.datastores import DatastoreSide, opened_local, tried
from calico_rkt.plugin.publish.host_confs import Decided, decided
from calico_rkt.plugin.publish.local import LOCAL

if TYPE_CHECKING:
    from calico_rkt.compiler.review.snapshot import World

    _Worlds = Callable[[DatastoreSide, tuple[ProfileChange, ...]], tuple[World, World]]

EPILOG = """\
examples:
  calico-rkt apply                        show what would change on this host, ask, and publish it
  calico-rkt apply web --dry-run          only show, and only this network
  calico-rkt apply --yes -C ./net.d       from another folder, without asking

Policy changes by this act alone: an ADD publishes a network's profile where there is none, and never changes one.
A profile that says the same in an older form (status names it) is written anew without a question.

exit status: 0 published, or nothing to change; 1 refused, or (with --dry-run) something would change, or a file is
there that nobody uses; 2 bad usage, input that can't be read, a datastore that can't be changed, or nobody to ask.
A network that was not applied is named then, while others were: each datastore is changed by itself"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="only these networks")
    options.add_confs(parser)
    options.add_profiles(parser)
    options.add_asking(parser)
    options.add_insisting(parser)
    parser.add_argument(
        "--end-flows", action="store_true", help="end open flows that the policy denies, else they go on"
    )


def run(args: argparse.Namespace) -> int:
    """Show what would change, ask, publish it; the exit status. Raises CniError and CompileError."""
    open_log("info")
    first = 0 if args.dry_run else tried(_put_in_force)
    return max(first, _publish(args, decided(args.confs, args.profiles), local=not first))


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
    print(render_diagnostics(found.told(), colour=coloured(sys.stderr)), end="", file=sys.stderr)
    if found.refusal():
        print("calico-rkt: nothing was changed", file=sys.stderr)
        return 2
    worst = found.status()
    if not _may_apply(args, found):
        return worst
    left = _Left(dict.fromkeys(args.networks or found.workspace.every_name))
    act = partial(_apply, args, left, found)
    if local:
        worst = max(worst, tried(lambda: here(act, found.known, found.files)))
    else:
        left.had_turn |= {n for n, conf in found.known.items() if conf.datastore_type == LOCAL}
    worst = max(worst, tried(lambda: in_clusters(act, found.known, found.files)))
    if left.names and not args.dry_run and (worst == 2 or left.some_done):
        print(f"calico-rkt: not applied: {', '.join(left.names)}", file=sys.stderr)
    return worst


@dataclass(slots=True)
class _Left:
    """The networks that are still to be applied; some_done: others were. had_turn: of which datastores that is over."""

    names: dict[str, None]
    some_done: bool = False
    had_turn: set[str] = field(default_factory=set)

    def without(self, done: Iterable[str], *, changed: bool) -> None:
        """These have what the files say, or how they stand was said."""
        for name in done:
            self.names.pop(name, None)
        self.some_done |= changed


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


def _apply(args: argparse.Namespace, left: _Left, found: Decided, side: DatastoreSide) -> int:
    """Show, ask, publish; in a cluster anew where somebody else published in between."""
    left.had_turn |= set(side.known)
    wanted = [n for n in dict.fromkeys(args.networks) if n in side.known]
    if not (wanted if args.networks else side.known):
        return 0
    while True:
        planned = side.plan(wanted)
        left.without(set(wanted or side.known) - {c.new.network for c in planned}, changed=False)
        older, changes = [tuple(c for c in planned if c.same_policy is same) for same in (True, False)]
        if older and not _written_anew(args, left, side, older):
            continue
        if not changes:
            if not older:
                print(f"{counted(len(wanted or side.known), 'network')}, nothing to change")
            _end_flows(args, side, wanted or side.known)
            return 1 if older and args.dry_run else 0
        coming = [n for n in args.networks or found.known if n not in left.had_turn]
        refused = _refused(args, side, changes, partial(_worlds, found, coming))
        if refused:
            return refused
        if _done(left, side, changes):
            names = [c.new.network for c in changes]
            say_done(f"applied: {', '.join(names)}")
            _end_flows(args, side, names)
            return 0


def _written_anew(
    args: argparse.Namespace, left: _Left, side: DatastoreSide, changes: tuple[ProfileChange, ...]
) -> bool:
    """Write profiles of an older form anew: nobody is asked, as no packet fares otherwise. False as in _done()."""
    names = ", ".join(c.new.network for c in changes)
    if args.dry_run:
        print(f"in an older form, with the same packets: {names}; apply writes that anew without asking")
        return True
    done = _done(left, side, changes)
    if done:
        say_done(f"written anew in this build's form, with the same packets: {names}")
    return done


def _done(left: _Left, side: DatastoreSide, changes: tuple[ProfileChange, ...]) -> bool:
    """Whether they are published; False where somebody else published in between."""
    names = [c.new.network for c in changes]
    try:
        side.apply(changes)
    except ChangedMeanwhileError as e:
        print(f"calico-rkt: {e.msg}; what is published now:", file=sys.stderr)
        return False
    except HalfDoneError:
        left.without(names, changed=True)
        raise
    left.without(names, changed=True)
    return True


def _refused(args: argparse.Namespace, side: DatastoreSide, changes: tuple[ProfileChange, ...], worlds: _Worlds) -> int:
    """Show the changes; 1 where they must not be made, 0 where they may."""
    for change in changes:
        print(shown_change(change))
    failing = not reviewed(*worlds(side, changes))
    there = "" if side.datastore_type == LOCAL else f" in {side.name}"
    edited = [c.new.network for c in changes if c.edited]
    if edited and not args.take_over:
        print(
            f"calico-rkt: {', '.join(edited)}: the published profile was edited by hand; nothing was changed{there}. "
            "--take-over replaces it",
            file=sys.stderr,
        )
        return 1
    if failing and not args.no_tests:
        print(
            f"calico-rkt: tests or guardrails would not hold; nothing was changed{there}. "
            "--no-tests applies all the same",
            file=sys.stderr,
        )
        return 1
    said = side.say_flows(changes, ending=args.end_flows)
    print(said, end="\n" if said else "")
    if args.dry_run:
        return 1
    if not args.yes and not agreed(f"Publish {len(changes)} changed profile{'s' if len(changes) > 1 else ''}?"):
        return 1
    return 0


def _end_flows(args: argparse.Namespace, side: DatastoreSide, networks: Collection[str]) -> None:
    if not args.end_flows or args.dry_run:
        return
    ended = side.end_flows(networks)
    if ended is None:
        print("calico-rkt: --end-flows ends flows of the local datastore's networks only", file=sys.stderr)
    else:
        print(f"ended {ended} open flows that the policy denies")


def _worlds(
    found: Decided, coming: Collection[str], side: DatastoreSide, changes: tuple[ProfileChange, ...]
) -> tuple[World, World]:
    """A datastore's networks before and after, with those of the others beside; of coming the turn is still to come."""
    from calico_rkt.plugin.publish.beside import beside
    from calico_rkt.plugin.publish.effect import worlds

    others = beside(side, found.known, found.files, coming)
    return worlds(side.profiles, side.known, changes, side.datastore_type, others)
