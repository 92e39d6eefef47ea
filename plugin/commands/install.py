"""A command line in, this program with all that belongs to it on a host out: `calico-rkt install`."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import nullcontext
from pathlib import Path, PurePath

import calico_rkt
from calico_rkt.compiler.cli.process import say_done
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.install import manifest, one_folder, systemd
from calico_rkt.plugin.install.parts import GROUPS, PREFIX
from calico_rkt.plugin.install.payload import own_file
from calico_rkt.plugin.install.plan import Plan, Step, Wanted, planned
from calico_rkt.plugin.install.put import put
from calico_rkt.plugin.install.turn import alone
from calico_rkt.plugin.publish.confirm import agreed

EPILOG = f"""parts (--with, --without): {", ".join(GROUPS)}

examples:
  dist/calico install                     shows what it would put where, asks, and does it
  dist/calico install --yes --without units
  dist/calico install --root /srv/image --prefix /usr
  dist/calico install --to ./plugins      the plugin alone, as a copy in that folder

Nothing that is not this program's is overwritten: stock Calico's plugin has the very name `calico`. What is put is kept
in /var/lib/calico-rkt/installed.json, with checksums; `calico-rkt uninstall` takes it back.

exit status: 0 done or nothing to do, 1 not agreed, or (with --dry-run) something would change, or systemd refused,
2 refused or bad usage; then nothing was changed"""


_UNITS = (".socket", ".service", ".timer")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_asking(parser)
    add_root(parser)
    parser.add_argument(
        "--prefix", metavar="DIR", help=f"commands, manual pages and completion go below it (default: {PREFIX})"
    )
    for option, words in (("--with", "also where this host has no use for it"), ("--without", "leave it out")):
        parser.add_argument(
            option, dest=option[2:], action="append", default=[], choices=tuple(GROUPS), metavar="PART", help=words
        )
    parser.add_argument("--copy", action="store_true", help="copies in other runtimes' folders, no links")
    parser.add_argument("--replace", action="store_true", help="also where another program is called calico")
    parser.add_argument("--to", metavar="WHERE", help="only the plugin, only there: rkt, cni, or a folder")


def add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", default="", metavar="DIR", help="a folder that is, or becomes, a host: for images")


def run(args: argparse.Namespace) -> int:
    """Install; the exit status. Raises CniError."""
    if args.to is not None:
        _alone(args)
        return one_folder.install(args.to, replace=args.replace)
    wanted = Wanted(
        root_of(args.root), prefix_of(args.prefix), frozenset(args.__dict__["with"]), frozenset(args.without),
        args.copy, args.replace,
    )  # fmt: skip
    if both := wanted.asked & wanted.unasked:
        raise CniError(Code.INVALID_ENVIRONMENT, f"--with and --without name the same part: {', '.join(sorted(both))}")
    own = own_file()  # whoever has none has nothing to wait for, and leaves nothing behind
    with nullcontext() if args.dry_run else alone(wanted.root):
        return _run(wanted, own, dry=args.dry_run, yes=args.yes)


def _run(wanted: Wanted, own: Path, *, dry: bool, yes: bool) -> int:
    known = manifest.read(wanted.root)
    try:
        plan = planned(wanted, own, known)
    except OSError as e:
        raise CniError(Code.IO, f"can not read {e.filename}: {e.strerror}") from e
    if plan.refused:
        raise CniError(
            Code.IO,
            "nothing is installed: " + "; ".join(plan.refused),
            "--without PART leaves a part out; --replace overwrites what is another's; --to DIR takes another folder",
        )
    return _install(wanted, plan, known, dry=dry, yes=yes)


def _install(wanted: Wanted, plan: Plan, known: manifest.Manifest, *, dry: bool, yes: bool) -> int:
    changes = [s for s in plan.steps if s.changes]
    units = [s for s in plan.steps if s.new.path.endswith(_UNITS) and s.act != "remove"]
    # Of an install that was ended half way none is known to have been enabled.
    new = {PurePath(s.new.path).name for s in units if s.act == "put" or not (known.version and known.has(s.new.path))}
    after = systemd.enabling(new) if units and not wanted.root else []
    what = f"calico-rkt {calico_rkt.__version__}"
    if not changes:
        print(f"{what} is installed as it should be{f' in {wanted.root}' if wanted.root else ''}")
        return 0
    print(f"{what} {'would be' if dry else 'is to be'} installed{f' in {wanted.root}' if wanted.root else ''}:")
    print("".join(_line(s) for s in plan.steps), end="")
    print("".join(f"  left out {words}\n" for words in plan.left_out), end="")
    print("".join(f"  then     {' '.join(command)}\n" for command in after), end="")
    if dry:
        return 1
    sys.stdout.flush()
    if not yes and not agreed("Install?"):
        return 1
    put(wanted.root, plan, known)
    failed = systemd.run(after)
    for words in failed:
        print(f"calico-rkt: installed, but {words}", file=sys.stderr)
    say_done(f"installed {what}: {len(changes)} files and links; calico-rkt uninstall takes them back")
    return 1 if failed else 0


def _line(step: Step) -> str:
    where = f"{step.new.path} -> {step.new.link}" if step.new.link and step.changes else step.new.path
    return f"  {step.act:<8} {where:<56} {step.words}\n"


def _alone(args: argparse.Namespace) -> None:
    others = {
        "--root": args.root, "--prefix": args.prefix, "--with": args.__dict__["with"], "--without": args.without,
        "--copy": args.copy, "--dry-run": args.dry_run,
    }  # fmt: skip
    if named := [name for name, value in others.items() if value]:
        raise CniError(
            Code.INVALID_ENVIRONMENT,
            f"--to puts one file into one folder, and has no use for {', '.join(named)}",
            "without --to everything is installed",
        )


def root_of(text: str) -> str:
    """The root as an absolute path, empty for this host's own; CniError where it is no folder."""
    if not text:
        return ""
    root = os.path.realpath(text)
    if not os.path.isdir(root):  # noqa: PTH112 - Path's raises where it may not look
        raise CniError(Code.INVALID_ENVIRONMENT, f"--root {text} is no folder", "make it first")
    return "" if root == "/" else root


def prefix_of(text: str | None) -> str:
    """The prefix, checked; CniError where it is no absolute path."""
    if text is None:
        return PREFIX
    prefix = text.rstrip("/")
    if not text.startswith("/") or ".." in prefix.split("/") or not prefix:
        raise CniError(Code.INVALID_ENVIRONMENT, f"--prefix {text!r} is no absolute path below /", "such as /usr/local")
    return prefix
