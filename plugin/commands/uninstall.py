"""A command line in, what install put taken back out: `calico-rkt uninstall`."""

from __future__ import annotations

import argparse
import sys
from contextlib import nullcontext

from calico_rkt.compiler.cli.process import say_done
from calico_rkt.compiler.diagnostics import counted
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.commands.install import add_root, root_of
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.install import manifest, one_folder, systemd
from calico_rkt.plugin.install.plan import unwritable
from calico_rkt.plugin.install.removal import removable, take_back
from calico_rkt.plugin.install.turn import alone
from calico_rkt.plugin.process import signals
from calico_rkt.plugin.publish.confirm import agreed

EPILOG = """examples:
  calico-rkt uninstall                    shows what it would take away, asks, and does it
  calico-rkt uninstall --yes
  calico-rkt uninstall --from rkt         only the plugin that `install --to rkt` put

Files that somebody changed since stay and are named (an installer of stock Calico may have written through a link);
published profiles, leases and overrides stay, too.

exit status: 0 done or nothing to do, 1 not agreed, or something is left, 2 refused or bad usage"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_asking(parser)
    add_root(parser)
    parser.add_argument("--changed", action="store_true", help="also files that somebody changed since")
    parser.add_argument("--force", action="store_true", help="also while containers are attached")
    parser.add_argument(
        "--from", "--to", dest="where", metavar="WHERE", help="only the plugin, only there: rkt, cni, or a folder"
    )


def run(args: argparse.Namespace) -> int:
    """Uninstall; the exit status. Raises CniError."""
    root = root_of(args.root)
    if args.where is not None:
        if args.dry_run or args.changed:
            raise CniError(Code.INVALID_ENVIRONMENT, "--dry-run and --changed are for what install (without --to) put")
        if not args.force:
            refuse_while_attached()
        return one_folder.uninstall(args.where)
    with nullcontext() if args.dry_run else alone(root):
        return _run(args, root)


def _run(args: argparse.Namespace, root: str) -> int:
    known = manifest.read(root)
    if not (known.entries or root):
        return _alone(args)
    try:
        gone, left = removable(root, known, changed_too=args.changed)
    except OSError as e:
        raise CniError(Code.IO, f"can not read {e.filename}: {e.strerror}") from e
    if not (gone or left):
        take_back(root, known, [])
        print(f"nothing is installed{f' in {root}' if root else ''}")
        return 0
    if refused := list(unwritable(root, gone)):
        raise CniError(Code.IO, f"nothing is removed: {'; '.join(refused)}")
    before = systemd.disabling() if not root and any(path.endswith(".socket") for path in gone) else []
    print("".join(f"  remove   {path}\n" for path in gone), end="")
    print("".join(f"  leave    {path}: {words}\n" for path, words in left), end="")
    print("".join(f"  first    {' '.join(command)}\n" for command in before), end="")
    if not root and not args.force:
        refuse_while_attached()
    if args.dry_run:
        return 1
    sys.stdout.flush()
    if not args.yes and not agreed("Uninstall?"):
        return 1
    signals.listen()  # from here on it goes on to its end
    failed = systemd.run(before)
    take_back(root, known, gone)
    failed += systemd.run(systemd.after_removal()) if before else []
    for words in failed:
        print(f"calico-rkt: {words}", file=sys.stderr)
    for path, words in left:
        print(f"calico-rkt: {path} is left: it {words}; --changed takes it, too", file=sys.stderr)
    say_done(f"removed {len(gone)} files and links; profiles, leases and overrides stay as they are")
    return 1 if left or failed else 0


def _alone(args: argparse.Namespace) -> int:
    """Take away what `install --to cni` put, where nothing else is installed; shown and asked about as all of it is."""
    there = one_folder.INSTALL_TO["cni"] / "calico"
    if not (there.exists() or there.is_symlink()):
        print("nothing is installed")
        return 0
    print(f"  remove   {there}", flush=True)
    if not args.force:
        refuse_while_attached()
    if args.dry_run:
        return 1
    if not args.yes and not agreed("Uninstall?"):
        return 1
    return one_folder.uninstall("cni")


def refuse_while_attached() -> None:
    """CniError while this host's records know of attachments, of its own datastore or of clusters."""
    from calico_rkt.plugin.store.local import own_stores

    stores = [opened() for opened in own_stores().values()]
    attached = sum(len(s.endpoints()) for s in stores if s.is_there())
    if attached:
        raise CniError(
            Code.IO,
            f"{counted(attached, 'container')} {'is' if attached == 1 else 'are'} attached, and no runtime can take "
            f"{'it' if attached == 1 else 'them'} away without the plugin",
            "stop what runs first, and calico-rkt gc; --force removes it all the same",
        )
