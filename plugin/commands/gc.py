"""Endpoints whose network namespace is gone in; freed, and what is kept named with its reason, out: `calico-rkt gc`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from functools import partial

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.plugin.attach.garbage import collect_garbage, free_attachment, free_damaged
from calico_rkt.plugin.attach.holders import holders_of
from calico_rkt.plugin.attach.life import is_from_elsewhere
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.enforce.differences import unrecorded
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.publish.datastores import DatastoreSide, clusters, complain, opened_cluster, opened_local, tried
from calico_rkt.plugin.publish.host_confs import confs_of
from calico_rkt.plugin.publish.unclaimed import unclaimed
from calico_rkt.plugin.runtime.attachments import sweep
from calico_rkt.plugin.store.folders import folders
from calico_rkt.plugin.store.journal import Journal
from calico_rkt.plugin.store.protocol import DamagedRecordError

EPILOG = """\
examples:
  calico-rkt gc                                free what is gone
  calico-rkt gc --dry-run                      only show
  calico-rkt gc --attachment web/c1/eth0       free one that is kept, whose container nobody runs in any more

exit status: 0 done; 1 a living attachment was not freed, a record can't be read, or something waits to be given back;
2 bad usage, or something failed"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_confs(parser)
    parser.add_argument("--dry-run", action="store_true", help="only show")
    parser.add_argument(
        "--attachment",
        default="",
        metavar="NETWORK/CONTAINER/IFNAME",
        help="free this one, also where its network namespace lives but nothing leads there and nobody runs in it",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="with --attachment: also a living container's; of a damaged record only where nothing lives",
    )


def run(args: argparse.Namespace) -> int:
    """Free what is gone, or the one attachment that is named, on this host and in its clusters; the exit status.

    0 done, 1 a living attachment was not freed, a record can't be read, or something waits to be given back; 2
    something failed. Each is named.
    CniError for an attachment that nobody knows.
    """
    open_log("info")
    if args.force and not args.attachment:
        raise CniError(Code.INVALID_ENVIRONMENT, "--force is for one attachment: --attachment NETWORK/CONTAINER/IFNAME")
    if args.attachment:
        return max(_one(args, _key(args.attachment)), _ended(args))
    worst = tried(lambda: _here(args))  # whatever is wrong with a conf
    named: list[NetConf] = []
    for there in clusters(confs_of(args.confs)):
        named += there.values()
        worst = max(worst, tried(partial(_there, args, dict(there))))
    worst = max(worst, _ended(args))
    return max(worst, _told((*Journal(folders()[1] / "journal").broken(), *unclaimed(named))))


def _ended(args: argparse.Namespace) -> int:
    """The other plugins' part of what `calico-rkt attach` made and is freed by now; 2 where one of them failed."""
    worst = 0
    for found in sweep(dry_run=args.dry_run):
        if isinstance(found, CniError):
            complain(found)
            worst = 2
        else:
            how = "would detach" if args.dry_run else "detached"
            print(f"{how} {found.network} {found.container} {found.ifname}: calico-rkt attach had made it")
    return worst


def _told(remarks: Iterable[str]) -> int:
    """What stays as it is, on stderr: 1 where there is any."""
    told = [f"calico-rkt: {words}" for words in remarks]
    print("".join(f"{line}\n" for line in told), end="", file=sys.stderr)
    return int(bool(told))


def _here(args: argparse.Namespace) -> int:
    with opened_local({}) as local:
        if words := unrecorded(local.store):
            return _told([words])
        return _all(args, local)


def _there(args: argparse.Namespace, known: dict[str, NetConf]) -> int:
    with opened_cluster(known) as cluster:
        return _all(args, cluster)


def _all(args: argparse.Namespace, side: DatastoreSide) -> int:
    """What can be freed is, whatever else can not: 2 where something failed, 1 where a record can't be read."""
    worst = 0
    try:
        for line in side.finish_releases() if not args.dry_run else ():
            print(line)
    except CniError as e:  # the cluster is away: what the kernel has is freed all the same
        complain(e)
        worst = 2
    done = collect_garbage(side.store, dry_run=args.dry_run)
    for endpoint in done.freed:
        _say_freed(args, endpoint)
    for key, why in done.returned:
        how = "would give back" if args.dry_run else "gave back"
        print(f"{how} what another ipam plugin gave to {key.network} {key.container} {key.ifname}: {why}")
    for endpoint in done.kept:
        print(_kept(endpoint))
    for error in done.failed:
        complain(error)
    if not args.dry_run:
        worst = max(worst, _told(side.waiting()))
    return 2 if done.failed else max(worst, int(bool(side.store.damaged)))


def _one(args: argparse.Namespace, key: Key) -> int:
    with opened_local({}) as local:
        if words := unrecorded(local.store):
            raise CniError(Code.IO, words)
        status, known = _released(args, local, key), [str(e.key) for e in local.store.endpoints(key.network)]
    if status is not None:
        return status
    for there in clusters(confs_of(args.confs)):
        with opened_cluster(dict(there)) as cluster:
            status = _released(args, cluster, key)
            if status is not None:
                return status
            known += [str(e.key) for e in cluster.store.endpoints(key.network)]
    raise CniError(
        Code.UNKNOWN_CONTAINER,
        f"there is no attachment {args.attachment!r} on this host",
        f"of network {key.network!r}: {', '.join(known) or 'none'}",
    )


def _released(args: argparse.Namespace, side: DatastoreSide, key: Key) -> int | None:
    """0 freed, 1 refused, None where this side has no such attachment."""
    try:
        return _freed(args, side, key)
    except CniError as e:
        if e.code != Code.ATTACHMENT_EXISTS:
            raise
        print(f"calico-rkt: {e.msg}\n{e.details}", file=sys.stderr)
        return 1


def _freed(args: argparse.Namespace, side: DatastoreSide, key: Key) -> int | None:
    try:
        found = free_attachment(side.store, key, force=args.force, dry_run=args.dry_run)
    except DamagedRecordError:
        if not args.force:
            raise
        return _freed_damaged(args, side, key)
    if found is None:
        return None
    _say_freed(args, found)
    return 0


def _freed_damaged(args: argparse.Namespace, side: DatastoreSide, key: Key) -> int:
    left = free_damaged(side.store, key, dry_run=args.dry_run)
    print(
        f"{'would free' if args.dry_run else 'freed'} {key.network} {key.container} {key.ifname}: its record is damaged"
    )
    if left.lends:
        return _told([f"what another ipam plugin gave to {key} stays taken: nobody can read what that was"])
    return 0


def _key(text: str) -> Key:
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        raise CniError(Code.INVALID_ENVIRONMENT, f"{text!r} is no NETWORK/CONTAINER/IFNAME", "such as web/c1/eth0")
    return Key(*parts)


def _say_freed(args: argparse.Namespace, endpoint: Endpoint) -> None:
    print(f"{'would free' if args.dry_run else 'freed'} {_words(endpoint)}")


def _kept(endpoint: Endpoint) -> str:
    """What is kept although no path leads to it, why, and the way out."""
    holders = holders_of(endpoint)
    if is_from_elsewhere(endpoint):
        return (
            f"kept {_words(endpoint)}: it was attached from another network namespace than this one, where its host "
            f"end {endpoint.host_ifname} would be ({holders}); run calico-rkt gc there"
        )
    path = f"{endpoint.netns} does not lead to its network namespace" if endpoint.netns else "it has no path"
    force = " --force" if holders.inside else ""
    return (
        f"kept {_words(endpoint)}: {path}, but its host end {endpoint.host_ifname} lives, so that lives ({holders}); "
        f"to free it all the same: calico-rkt gc --attachment {endpoint.key}{force}"
    )


def _words(e: Endpoint) -> str:
    return f"{e.key.network} {e.key.container} {e.key.ifname}: {', '.join(map(str, e.addresses))}"
