"""A command line in, an exit status out: calico-rkt export and import."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sized
from pathlib import Path

from calico_rkt.compiler.bundle.resources import Bundle
from calico_rkt.compiler.cli.process import folder
from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process import atomic
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.publish.changes import Change, ChangedMeanwhileError
from calico_rkt.plugin.publish.confirm import agreed, reviewed, shown
from calico_rkt.plugin.publish.datastores import Side
from calico_rkt.plugin.publish.host_confs import confs_of
from calico_rkt.plugin.publish.local import LOCAL

_ATTEMPTS = 10

_DATASTORE = """DATASTORE is local (this host's own), etcdv3 or etcdv2 (the Calico cluster of that kind that a conf or
ETCD_ENDPOINTS names), or the URL of a member of an etcdv3 cluster (TLS files and user come from the conf that names
it, else from ETCD_CA_CERT_FILE, ETCD_CERT_FILE, ETCD_KEY_FILE, ETCD_USERNAME and ETCD_PASSWORD). Without a name: the
one that the confs name."""

_EXPORT = f"""examples:
  calico-rkt export                           what this host's confs' datastore has, on stdout
  calico-rkt export --from etcdv3 -o all.yaml
  calico-rkt export --from local | calicoctl apply -f -

{_DATASTORE}

exit status: 0 done, 2 bad usage, a datastore that can't be read, or a profile that was edited by hand"""

_IMPORT = f"""examples:
  calico-rkt import all.yaml                  show what would change, ask, and publish it
  calico-rkt import --from local --to etcdv3 --dry-run
  calico-rkt export --from local | calico-rkt import --to https://192.0.2.11:2379 --yes -

{_DATASTORE}

exit status: 0 done or nothing to do, 1 refused or (with --dry-run) something would change,
2 bad usage or unreadable input"""


def exchange(command: str, argv: list[str]) -> int:
    """Run export or import; argv without the command's name. Raises CniError and CompileError."""
    args = (_export_parser if command == "export" else _import_parser)().parse_args(argv)
    open_log("info")
    return _export(args) if command == "export" else _import(args)


def _export_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "export", "Write what is ours in a datastore as Calico resources, one YAML document each.", _EXPORT
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write there, whole or not at all")
    parser.add_argument(
        "--endpoints",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="with endpoints, or without (default: those of a cluster, not those of this host, whose addresses no "
        "cluster's IPAM knows)",
    )
    return parser


def _import_parser() -> argparse.ArgumentParser:
    parser = _parser("import", "Publish profiles and make pools as a file or another datastore has them.", _IMPORT)
    parser.add_argument("file", nargs="?", metavar="FILE", help="what export wrote; - is stdin")
    parser.add_argument("--to", default="", metavar="DATASTORE", help="where to")
    parser.add_argument("--yes", action="store_true", help="don't ask")
    parser.add_argument("--dry-run", action="store_true", help="only show; exit status 1 when something would change")
    parser.add_argument(
        "--overwrite", action="store_true", help="also replace profiles that are published with other rules"
    )
    parser.add_argument("--take-over", action="store_true", help="also replace profiles that were edited by hand")
    parser.add_argument("--no-tests", action="store_true", help="also where tests or guardrails would not hold")
    return parser


def _parser(command: str, what: str, epilog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"calico-rkt {command}",
        description=what,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--from", dest="source", default="", metavar="DATASTORE", help="where from")
    parser.add_argument(
        "--confs", action="append", type=folder, metavar="DIR", help="folder of confs (default: rkt's and CNI's)"
    )
    return parser


def _export(args: argparse.Namespace) -> int:
    from calico_rkt.compiler.bundle.write import write
    from calico_rkt.plugin.exchange.datastore_names import place
    from calico_rkt.plugin.exchange.export import export

    with place(args.source, confs_of(args.confs), "--from").open() as side:
        with_endpoints = side.name != LOCAL if args.endpoints is None else args.endpoints
        bundle = export(side, endpoints=with_endpoints)
        _warn_of_codes(bundle, side)
    if args.endpoints and not bundle.endpoints:
        print(f"calico-rkt: {side.name}: no endpoints that could be written", file=sys.stderr)
    text = write(bundle)
    if args.output is None:
        print(text, end="", flush=True)
    else:
        _save(args.output, text)
    if not text:
        print(f"calico-rkt: {side.name} has nothing of ours", file=sys.stderr)
    elif args.output is not None:
        kinds = (("profile", bundle.profiles), ("pool", bundle.pools), ("endpoint", bundle.endpoints))
        print(f"{args.output}: {', '.join(_count(things, word) for word, things in kinds)}")
    return 0


def _warn_of_codes(bundle: Bundle, side: Side) -> None:
    """What is written may be given to any Calico: which profiles would stop a Felix, on stderr."""
    from calico_rkt.compiler.targets.felix import NFTABLES, coded

    felix = side.felix()
    if felix is not None and NFTABLES not in felix.modes:
        return
    for network in bundle.profiles:
        for where, _ in coded(network):
            words = f"network {network.name!r}: {where} names an ICMP code, which stops a Felix in nftables mode"
            print(f"calico-rkt: {words}", file=sys.stderr)


def _save(path: Path, text: str) -> None:
    """The file with the whole text, or as it was before."""
    try:
        if path.exists() and not path.is_file():  # a pipe, /dev/stdout
            path.write_text(text, encoding="utf-8")
        else:
            atomic.replace(path, text.encode(), 0o644)
    except OSError as e:
        raise CniError(Code.IO, f"{path} can't be written: {e.strerror}") from e


def _import(args: argparse.Namespace) -> int:
    from calico_rkt.plugin.exchange.datastore_names import place, same
    from calico_rkt.plugin.exchange.export import export

    if bool(args.file) == bool(args.source):
        raise CniError(Code.INVALID_CONF, "name a FILE, or a datastore with --from", "calico-rkt import --help")
    known = confs_of(args.confs)
    to = place(args.to, known, "--to")
    if args.file:
        bundle, source = _read(args.file), args.file
    else:
        origin = place(args.source, known, "--from")
        if same(origin, to):
            raise CniError(Code.INVALID_CONF, f"--from and --to are one datastore: {to.name}", "name another with --to")
        with origin.open() as side:
            bundle, source = export(side, endpoints=True), side.name
    with to.open() as side:
        for _ in range(_ATTEMPTS):
            try:
                return _bring_in(args, bundle, side, source, known)
            except ChangedMeanwhileError as e:
                print(f"calico-rkt: {e.msg}; what is published now:", file=sys.stderr)
    raise CniError(Code.TRY_AGAIN, f"the profiles of {to.name} change too fast")


def _read(name: str) -> Bundle:
    from calico_rkt.compiler.bundle.read import LARGEST, read

    try:
        if name == "-":
            return read("<stdin>", sys.stdin.buffer.read(LARGEST + 1))
        with Path(name).open("rb") as file:
            return read(name, file.read(LARGEST + 1))
    except OSError as e:
        raise CniError(Code.IO, f"{name} can't be read: {e.strerror}") from e


def _bring_in(args: argparse.Namespace, bundle: Bundle, side: Side, source: str, known: Mapping[str, NetConf]) -> int:
    from calico_rkt.plugin.exchange.import_plan import Plan, carry_out, plan

    wanted: Plan = plan(bundle, side, source)
    for line in wanted.notes:
        print(line)
    if not wanted.changes and not wanted.pools:
        print(f"nothing to change in {side.name}")
        return 0
    for pool in wanted.pools:
        print(f"IPPool {pool.name}: {pool.cidr} is made{', with natOutgoing' if pool.nat_outgoing else ''}")
    for change in wanted.changes:
        print(shown(change, source))
    holds = _holds(side, wanted.changes, known) if wanted.changes else True
    refusal = _refusal(args, wanted.overwritten, [c.new.network for c in wanted.changes if c.edited], holds=holds)
    if refusal:
        print(f"calico-rkt: {refusal}", file=sys.stderr)
        return 1
    if args.dry_run:
        return 1
    what = f"{_count(wanted.changes, 'profile')} and {_count(wanted.pools, 'pool')}"
    if not args.yes and not agreed(f"Bring in {what}?"):
        print("nothing was changed", file=sys.stderr)
        return 1
    carry_out(wanted, side)
    print(f"brought into {side.name}: {what}")
    return 0


def _holds(side: Side, changes: tuple[Change, ...], known: Mapping[str, NetConf]) -> bool:
    """Show what the changes let through, with the addresses that any conf gives their networks; whether tests hold."""
    from calico_rkt.plugin.publish.effect import worlds_with

    brought = {c.new.network for c in changes}
    confs = {**{n: c for n, c in known.items() if n in brought}, **side.known}
    return reviewed(*worlds_with(side.profiles, confs, changes, side.datastore_type))


def _count(things: Sized, word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


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
