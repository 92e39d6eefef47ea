"""Published profiles that no endpoint uses in; named, asked about and deleted out: `calico-rkt prune`."""

from __future__ import annotations

import argparse
from functools import partial

from calico_rkt.compiler.cli.process import say_done
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.commands.sides import here, in_clusters
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.publish.confirm import agreed
from calico_rkt.plugin.publish.datastores import DatastoreSide, complain, tried
from calico_rkt.plugin.publish.host_confs import confs_of

EPILOG = """\
examples:
  calico-rkt prune             show which profiles no endpoint uses, ask, and delete them
  calico-rkt prune --dry-run   only show
  calico-rkt prune --yes       without asking: for a timer

The next ADD of such a network publishes its profile anew, from the files of that moment.

exit status: 0 deleted, or nothing to delete; 1 refused, or (with --dry-run) something would be deleted; 2 bad usage,
something that can't be read or deleted, or nobody to ask"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_confs(parser)
    options.add_asking(parser)


def run(args: argparse.Namespace) -> int:
    """On this host, whatever is wrong with a conf, and then in its clusters; the worst exit status."""
    open_log("info")
    act = partial(_prune, args)
    worst = tried(lambda: here(act, {}))
    return max(worst, in_clusters(act, confs_of(args.confs)))


def _prune(args: argparse.Namespace, side: DatastoreSide) -> int:
    if args.dry_run or not args.yes:
        unused, failed = side.prune(dry_run=True)
        for network_id in unused:
            print(f"would delete profile {network_id}")
        if args.dry_run:
            for error in failed:
                complain(error)
            return 2 if failed else int(bool(unused))
        if unused and not agreed(f"Delete {len(unused)} profile{'s' if len(unused) > 1 else ''} of {side.name}?"):
            return 1
    gone, failed = side.prune(dry_run=False)
    if gone:
        say_done("\n".join(f"deleted profile {network_id}" for network_id in gone))
    for error in failed:
        complain(error)
    return 2 if failed else 0
