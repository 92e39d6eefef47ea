"""A command line in, an exit status out: calico-rkt's commands for people."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import calico_rkt
from calico_rkt.compiler.cli import compile_profile
from calico_rkt.compiler.cli.commands import REVIEW
from calico_rkt.compiler.cli.commands import run as review
from calico_rkt.compiler.conf import NetConf
from calico_rkt.compiler.diagnostics import CompileError, render
from calico_rkt.compiler.review.world import World
from calico_rkt.plugin.detach import collect
from calico_rkt.plugin.exchange.cli import EXCHANGE, exchange
from calico_rkt.plugin.lifecycle import CONF_DIRS, Change, ChangedMeanwhileError, confs_of
from calico_rkt.plugin.locks import policy_lock
from calico_rkt.plugin.log import open_log
from calico_rkt.plugin.policy import restore
from calico_rkt.plugin.question import agreed, reviewed, shown
from calico_rkt.plugin.result import CniError, Code
from calico_rkt.plugin.sides import Side, clusters, opened_cluster, opened_local
from calico_rkt.plugin.status import status
from calico_rkt.plugin.store.local import LocalStore

INSTALL_TO = {"rkt": Path("/usr/lib/rkt/plugins/net"), "cni": Path("/opt/cni/bin")}

EPILOG = """examples:
  calico-rkt compile net.conf              the canonical profile of a conf (the same as compile-profile)
  calico-rkt check ./net.d                 what is wrong or idle in confs and overrides
  calico-rkt apply                         show what would change, ask, and publish it
  calico-rkt apply --yes --confs ./net.d   the same from another folder, without asking
  calico-rkt status --format json
  calico-rkt install --to cni              put the binary where containerd and podman look

exit status: 0 done or nothing to say, 1 findings or a refusal, 2 bad usage or unreadable input"""


def main(argv: list[str] | None = None) -> int:
    """Run one command; argv without the program's name."""
    args = sys.argv[1:] if argv is None else argv
    if args[:1] == ["compile"]:
        return compile_profile(args[1:])
    if args[:1] and args[0] in REVIEW:
        return review(args[0], args[1:])
    try:
        if args[:1] and args[0] in EXCHANGE:
            return exchange(args[0], args[1:])
        return _run(_parser().parse_args(args))
    except CniError as e:
        print(f"calico-rkt: {e.msg}", file=sys.stderr)
        if e.details:
            print(e.details.rstrip("\n"), file=sys.stderr)
        return 2
    except CompileError as e:  # a file that was changed between two looks at it
        print(render(e.diagnostics), end="", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 2
    except KeyboardInterrupt:
        print("calico-rkt: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="calico-rkt",
        description="Network policy of containers on this host: publish, look, clean up.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"calico-rkt {calico_rkt.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("compile", help="print the canonical profile of a network conf")
    for name, words in {**REVIEW, **EXCHANGE}.items():
        commands.add_parser(name, help=words)
    apply = commands.add_parser("apply", help="publish what the host's files compile to")
    status = commands.add_parser("status", help="each network: in step, stale, edited; and what blocks forwarding")
    ready: list[argparse.ArgumentParser] = [apply, status]
    for name, text in (
        ("prune", "delete published profiles that no endpoint uses"),
        ("gc", "free endpoints whose network namespace is gone"),
    ):
        ready.append(commands.add_parser(name, help=text))
        ready[-1].add_argument("--dry-run", action="store_true", help="only show")
    commands.add_parser("restore", help="rebuild the nftables table from leases and published profiles")
    for command in ready:
        command.add_argument(
            "--confs", action="append", type=Path, metavar="DIR", help="folder of confs (default: rkt's and CNI's)"
        )
    for command in (apply, status):
        command.add_argument(
            "--profiles", type=Path, metavar="DIR", help="folder of overrides, instead of the confs' own"
        )
    apply.add_argument("networks", nargs="*", metavar="NETWORK", help="only these networks")
    apply.add_argument("--yes", action="store_true", help="don't ask")
    apply.add_argument("--dry-run", action="store_true", help="only show; exit status 1 when something would change")
    apply.add_argument("--no-tests", action="store_true", help="also where tests or guardrails would not hold")
    apply.add_argument("--take-over", action="store_true", help="replace a profile that was edited by hand")
    status.add_argument("--format", choices=("text", "json"), default="text")
    status.add_argument("--no-agent", action="store_true", help="leave out what the agent says of itself")
    agent = commands.add_parser("agent", help="serve CNI calls from a warm process, until SIGTERM")
    agent.add_argument(
        "--metrics",
        default="",
        metavar="WHERE",
        help="Prometheus metrics at a path, PORT or 127.0.0.1:PORT (default: metrics.sock beside the agent's socket)",
    )
    install = commands.add_parser("install", help="put dist/calico where a runtime looks for it")
    install.add_argument("--to", default="cni", metavar="WHERE", help="rkt, cni, or a folder (default: cni)")
    return parser


def _run(args: argparse.Namespace) -> int:
    if args.command == "install":
        return _install(args.to)
    if args.command == "agent":
        from calico_rkt.plugin.agent.run import run as serve

        return serve(args.metrics)
    open_log("info")
    if args.command == "restore":
        with opened_local({}) as local:
            return _restore(local.store)
    if args.command in ("prune", "gc"):
        act = _prune if args.command == "prune" else _gc
        with opened_local({}) as local:  # whatever is wrong with a conf
            act(args, local)
        return _in_clusters(args, _confs(args), act)
    known = _confs(args)
    if args.command == "status":
        return status(known, as_json=args.format == "json", with_agent=not args.no_agent)
    if not _may_apply(args, known):
        return 0
    with opened_local(known) as local:
        worst = _apply(args, local)
    return max(worst, _in_clusters(args, known, _apply))


def _in_clusters(
    args: argparse.Namespace, known: dict[str, NetConf], act: Callable[[argparse.Namespace, Side], int]
) -> int:
    """Do the same in every cluster that a conf names; the worst exit status."""
    worst = 0
    for there in clusters(known):
        with opened_cluster(there) as cluster:
            worst = max(worst, act(args, cluster))
    return worst


def _confs(args: argparse.Namespace) -> dict[str, NetConf]:
    found = confs_of(args.confs)
    if getattr(args, "profiles", None):
        if not args.profiles.is_dir():
            raise CniError(Code.IO, f"{args.profiles} is no folder of overrides")
        found = {n: dataclasses.replace(c, profiles_dir=str(args.profiles)) for n, c in found.items()}
    return found


def _may_apply(args: argparse.Namespace, known: dict[str, NetConf]) -> bool:
    """Whether there is something to apply; CniError for a network that no conf names."""
    unknown = sorted(set(args.networks) - set(known))
    if unknown:
        raise CniError(Code.INVALID_CONF, f"no conf names network {unknown[0]!r}", f"known: {', '.join(sorted(known))}")
    if not known:
        print(f"no conf of type calico in {', '.join(map(str, args.confs or CONF_DIRS))}: nothing to publish")
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
    if args.dry_run:
        return 1
    if not args.yes and not agreed(f"Publish {len(changes)} changed profile{'s' if len(changes) > 1 else ''}?"):
        print("nothing was changed", file=sys.stderr)
        return 1
    return 0


def _worlds(side: Side, changes: tuple[Change, ...]) -> tuple[World, World]:
    from calico_rkt.plugin.live import worlds

    return worlds(side.profiles, side.known, changes)


def _prune(args: argparse.Namespace, side: Side) -> int:
    for network_id in side.prune(dry_run=args.dry_run):
        print(f"{'would delete' if args.dry_run else 'deleted'} profile {network_id}")
    return 0


def _gc(args: argparse.Namespace, side: Side) -> int:
    for line in side.finish_releases() if not args.dry_run else ():
        print(line)
    gone, failed = collect(side.store, dry_run=args.dry_run)
    for e in gone:
        verb = "would free" if args.dry_run else "freed"
        print(f"{verb} {e.key.network} {e.key.container} {e.key.ifname}: {', '.join(map(str, e.addresses))}")
    if failed:
        raise failed[0]
    return 0


def _restore(store: LocalStore) -> int:
    with policy_lock(store.run_dir):
        endpoints, closed = restore(store)
    print(f"restored {endpoints} endpoints")
    for network_id in closed:
        print(
            f"calico-rkt: network {network_id} stays closed: its published profile is missing or unfit", file=sys.stderr
        )
    return 1 if closed else 0


def _install(where: str) -> int:
    """Copy this file into a plugin folder, whole or not at all."""
    folder = INSTALL_TO.get(where, Path(where))
    own = Path(sys.argv[0]).resolve()
    if not zipfile.is_zipfile(own):
        own = Path(calico_rkt.__file__).resolve().parents[2] / "dist" / "calico"
    if not own.is_file():
        raise CniError(Code.IO, "dist/calico is not built: make binary")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / ".calico.next"
        shutil.copyfile(own, fresh)
        fresh.chmod(0o755)
        fresh.replace(folder / "calico")
    except OSError as e:
        raise CniError(Code.IO, f"can not install into {folder}: {e.strerror}") from e
    print(f"installed {folder / 'calico'}")
    return 0
