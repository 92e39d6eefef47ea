"""A file of export, or another datastore, in; its profiles published and its pools made out: `calico-rkt import`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from calico_rkt.compiler.bundle.read import LARGEST, read_bundle
from calico_rkt.compiler.bundle.resources import Bundle
from calico_rkt.compiler.cli.process import say_done
from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.diagnostics import counted
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.exchange.datastore_names import datastore_named, same_datastore
from calico_rkt.plugin.exchange.export import export_bundle
from calico_rkt.plugin.exchange.import_plan import ImportPlan, carry_out_import, plan_import
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.publish.beside import beside
from calico_rkt.plugin.publish.changes import NONE, ChangedMeanwhileError, ProfileChange
from calico_rkt.plugin.publish.confirm import agreed, reviewed, shown_change
from calico_rkt.plugin.publish.datastores import DatastoreSide
from calico_rkt.plugin.publish.effect import worlds_with
from calico_rkt.plugin.publish.host_confs import confs_of

_ATTEMPTS = 10

EPILOG = f"""\
examples:
  calico-rkt import all.yaml                  show what would change, ask, and publish it
  calico-rkt import --from local --to etcdv3 --dry-run
  calico-rkt export --from local | calico-rkt import --to https://192.0.2.11:2379 --yes -

{options.DATASTORE}

exit status: 0 done or nothing to do, 1 refused or (with --dry-run) something would change,
2 bad usage or unreadable input"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", metavar="FILE", help="what export wrote; - is stdin")
    options.add_source(parser)
    parser.add_argument("--to", default="", metavar="DATASTORE", help="where to")
    options.add_confs(parser)
    options.add_asking(parser)
    parser.add_argument(
        "--overwrite", action="store_true", help="also replace profiles that are published with other rules"
    )
    options.add_insisting(parser)


def run(args: argparse.Namespace) -> int:
    """Show, ask, bring in; the exit status. Raises CniError and CompileError."""
    open_log("info")
    if bool(args.file) == bool(args.source):
        raise CniError(Code.INVALID_CONF, "name a FILE, or a datastore with --from", "calico-rkt import --help")
    known = confs_of(args.confs)
    to = datastore_named(args.to, known, "--to")
    if args.file:
        bundle, source = _read(args.file), args.file
    else:
        origin = datastore_named(args.source, known, "--from")
        if same_datastore(origin, to):
            raise CniError(Code.INVALID_CONF, f"--from and --to are one datastore: {to.name}", "name another with --to")
        with origin.open() as side:
            bundle, source = export_bundle(side, endpoints=True), side.name
    with to.open() as side:
        for _ in range(_ATTEMPTS):
            try:
                return _bring_in(args, bundle, side, source, known)
            except ChangedMeanwhileError as e:
                print(f"calico-rkt: {e.msg}; what is published now:", file=sys.stderr)
    raise CniError(Code.TRY_AGAIN, f"the profiles of {to.name} change too fast")


def _read(name: str) -> Bundle:
    try:
        if name == "-":
            return read_bundle("<stdin>", sys.stdin.buffer.read(LARGEST + 1))
        with Path(name).open("rb") as file:
            return read_bundle(name, file.read(LARGEST + 1))
    except OSError as e:
        raise CniError(Code.IO, f"{name} can't be read: {e.strerror}") from e


def _bring_in(
    args: argparse.Namespace, bundle: Bundle, side: DatastoreSide, source: str, known: Mapping[str, NetConf]
) -> int:
    wanted: ImportPlan = plan_import(bundle, side, source)
    for line in wanted.notes:
        print(line)
    if not wanted.changes and not wanted.pools:
        print(f"nothing to change in {side.name}")
        return 0
    for pool in wanted.pools:
        print(f"IPPool {pool.name}: {pool.cidr} is made{', with natOutgoing' if pool.nat_outgoing else ''}")
    for change in wanted.changes:
        print(shown_change(change, source))
    holds = _holds(side, wanted.changes, known) if wanted.changes else True
    refusal = _refusal(args, wanted.overwritten, [c.new.network for c in wanted.changes if c.edited], holds=holds)
    if refusal:
        print(f"calico-rkt: {refusal}", file=sys.stderr)
        return 1
    if args.dry_run:
        return 1
    what = f"{counted(len(wanted.changes), 'profile')} and {counted(len(wanted.pools), 'pool')}"
    if not args.yes and not agreed(f"Bring in {what}?"):
        return 1
    carry_out_import(wanted, side)
    say_done(f"brought into {side.name}: {what}")
    return 0


def _holds(side: DatastoreSide, changes: tuple[ProfileChange, ...], known: Mapping[str, NetConf]) -> bool:
    """Show what the changes let through, with the addresses that any conf gives their networks; whether tests hold."""
    brought = {c.new.network for c in changes}
    confs = {**{n: c for n, c in known.items() if n in brought}, **side.known}
    others = beside(side, {n: c for n, c in known.items() if n not in confs}, NONE, ())
    return reviewed(*worlds_with(side.profiles, confs, changes, side.datastore_type, others))


def _refusal(args: argparse.Namespace, overwritten: tuple[str, ...], edited: list[str], *, holds: bool) -> str:
    """Why nothing may be changed, in words; empty where it may."""
    if edited and not args.take_over:
        names = ", ".join(edited)
        return f"{names}: the published profile was edited by hand; nothing was changed. --take-over replaces it"
    if overwritten and not args.overwrite:
        names = ", ".join(overwritten)
        return f"{names}: published with other rules already; nothing was changed. --overwrite replaces them"
    if not holds and not args.no_tests:
        return "tests or guardrails would not hold; nothing was changed. --no-tests brings it in all the same"
    return ""
