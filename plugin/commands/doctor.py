"""A host in; what is wrong with it, with its cure, printed, and the harmless cures done: `calico-rkt doctor`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.compiler.diagnostics import counted
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.doctor.cures import cure, cures_of, spared
from calico_rkt.plugin.doctor.examine import CHECKS, examine
from calico_rkt.plugin.doctor.finding import Finding, Seen, text_of, values_of
from calico_rkt.plugin.doctor.host import Host
from calico_rkt.plugin.enforce.differences import kept_running
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.publish.confirm import agreed
from calico_rkt.plugin.publish.host_confs import decided

EPILOG = """\
examples:
  calico-rkt doctor                what is wrong on this host, what follows, and the command that cures it
  calico-rkt doctor -v             also what is well
  calico-rkt doctor --fix          show the harmless cures, ask, and do them; then look again
  calico-rkt doctor --fix --dry-run
  calico-rkt doctor --format json

It changes nothing without --fix. Harmless are: folders' modes, confs put back, forwarding, units enabled, the table
restored. `calico-rkt rule CODE` says more of a finding.

exit status: 0 well; 1 findings, or nobody agreed to the cures; 2 bad usage, or not root"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_confs(parser)
    options.add_profiles(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="also say what is well, a line each")
    parser.add_argument("--fix", action="store_true", help="do the cures that take nothing away, after asking")
    options.add_asking(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print what was found, do what was asked; the exit status. Raises CniError."""
    if (args.yes or args.dry_run) and not args.fix:
        raise CniError(Code.INVALID_ENVIRONMENT, "--yes and --dry-run are about --fix, which is not there")
    if args.fix and args.format == "json":
        raise CniError(Code.INVALID_ENVIRONMENT, "--fix has no JSON", "look with --format json after it")
    if os.geteuid() != 0:
        raise CniError(Code.INVALID_ENVIRONMENT, "only root sees all of a host", "sudo calico-rkt doctor")
    if args.confs or args.profiles:
        decided(args.confs, args.profiles)  # a folder that is none is bad usage, not a finding
    seen = _looked(args)
    _print(args, seen)
    found = _findings(seen)
    if args.fix and found:
        return _fixed(args, found)
    return int(bool(found))


def _looked(args: argparse.Namespace) -> tuple[Seen, ...]:
    host = Host(args.confs, args.profiles)
    seen = tuple(dict.fromkeys(examine(host)))
    return tuple(spared(seen, kept_running(host.state.differs) if host.state else ()))


def _findings(seen: Sequence[Seen]) -> list[Finding]:
    return [s for s in seen if isinstance(s, Finding)]


def _print(args: argparse.Namespace, seen: Sequence[Seen]) -> None:
    found = _findings(seen)
    well = [s for s in seen if isinstance(s, str)]
    if args.format == "json":
        print(document("doctor", {"findings": [values_of(f) for f in found], "well": well}), end="")
        return
    for words in well if args.verbose else ():
        print(f"well: {words}")
    print("\n".join(map(text_of, found)), end="\n" if found else "")
    if found:
        mends = len(cures_of(found))
        more = "" if args.fix or not mends else f"; calico-rkt doctor --fix does {mends} of the cures"
        print(f"{counted(len(found), 'finding')}; calico-rkt rule CODE says more{more}")
    else:
        print(f"this host is well: {len(CHECKS)} checks found nothing")
    sys.stdout.flush()


def _fixed(args: argparse.Namespace, found: Sequence[Finding], done: frozenset[str] = frozenset()) -> int:
    """Show, ask, do and look again, until nothing new comes to light; the exit status. done: what was done before."""
    commands = [command for command in cures_of(found) if command not in done]
    if not commands:
        what = "what --fix did is not enough" if done else "none of the cures is harmless: nothing was done"
        print(what, file=sys.stderr)
        return 1
    print("\n--fix does:\n" + "".join(f"    {command}\n" for command in commands), end="", flush=True)
    if args.dry_run:
        return 1
    if not args.yes and not agreed(f"Do {counted(len(commands), 'thing')}?"):
        return 1
    for command, problem in cure(commands):
        print(f"{'failed' if problem else 'done'}: {command}{': ' if problem else ''}{problem}", flush=True)
    print("\nLooked again:")
    seen = _looked(args)
    _print(args, seen)
    left = _findings(seen)
    again = done | {*commands} if not set(cures_of(left)) <= {*commands, *done} else None
    return _fixed(args, left, again) if again else int(bool(left))
