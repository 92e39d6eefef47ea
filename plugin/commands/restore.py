"""What the host keeps and has published in; its table and confs whole again out, closed first: `restore`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable

from calico_rkt.compiler.diagnostics import counted
from calico_rkt.plugin.enforce import local
from calico_rkt.plugin.enforce.differences import (
    is_unfit,
    kept_running,
    kernel_differences,
    of_host_ends_alone,
    strays,
    unrecorded,
)
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link import host_ends
from calico_rkt.plugin.process.locks import policy_lock
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.publish.kept_confs import put_back
from calico_rkt.plugin.store.local import LocalStore, open_local

_ATTEMPTS = 20


EPILOG = """\
examples:
  calico-rkt restore               after somebody flushed nftables; also mends host ends and routes
  calico-rkt restore --if-needed   only where the kernel differs from what is recorded and published: for a timer

A network whose published profile was edited or deleted is closed by a restore; --if-needed leaves its rules in force
unless the table has to be built anew for another reason.

Also puts confs back into /etc/cni/net.d that are kept in /etc/calico-rkt/networks and that podman deleted there.

exit status: 0 whole; 1 something stays as it should not be, and is named; 2 bad usage, or something failed"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--if-needed", action="store_true", help="only where the kernel differs from them; says what differs"
    )


def run(args: argparse.Namespace) -> int:
    """Do it and print what came of it; 1 where something stays as it should not be, else 0."""
    open_log("info")
    return restore_host(if_needed=args.if_needed)


def restore_host(*, if_needed: bool = False) -> int:
    """Do it and print what came of it; 1 where something stays as it should not be, else 0.

    if_needed: only where the kernel differs from what is recorded and published; prints what differs.
    """
    found = table.close_first()  # before any lock and any file
    lacking = _put_back()
    if if_needed and found in (table.Standing.NONE, table.Standing.NEWER):
        print(f"nothing to restore: the table is {found.value}, and no link of ours is open without it")
        return lacking
    store = open_local()
    rebuild, kept = True, False
    try:
        if if_needed:
            differs = kernel_differences(store)
            _print("differs", differs)
            if not differs:
                print("the kernel has what is recorded and published: nothing to restore")
                return lacking
        if words := unrecorded(store):
            _print("nothing was restored", [words])  # what would be built of nothing cuts off endpoints that live
            print("put it back; or end the containers, and restore then", file=sys.stderr)
            return 1
        if if_needed:
            mendable = [line for line in differs if not is_unfit(line)]
            if not mendable:
                print("nothing of it is for a restore to put right: calico-rkt doctor")
                return 1
            rebuild = not of_host_ends_alone(store, mendable)
            kept = not rebuild and bool(kept_running(differs))
        done, left = restored(store, rebuild=rebuild)
    finally:
        store.close()
    print(_words(done))
    _print("stays closed", (f"network {c.network}, {counted(c.endpoints, 'endpoint')}: {c.why}" for c in done.closed))
    _print("not mended", left)
    return 1 if done.closed or kept or left or store.damaged or lacking else 0


def _words(done: local.Restored) -> str:
    let_in = f"restored {counted(done.endpoints - done.cut_off, 'endpoint')}"
    if not done.cut_off:
        return let_in
    return f"{let_in}; {done.cut_off} stay{'s' * (done.cut_off == 1)} closed: calico-rkt doctor says what cures that"


def _put_back() -> int:
    """The confs that a runtime deleted, each told; 1 where one is still lacking, else 0."""
    lacking = 0
    for kept, told in put_back():
        if isinstance(told, CniError):
            lacking = 1
            _print("not put back", [f"{kept}: {told.msg}"])
        else:
            print(f"put back {told}, as it is in {kept}")
    return lacking


def restored(store: LocalStore, *, rebuild: bool = True) -> tuple[local.Restored, tuple[str, ...]]:
    """Restore until the table is whole, since a flush may come at any moment; then the host ends.

    rebuild: else a table that is whole stays as it is. What of the host ends could not be mended comes in words.
    """
    done: local.Restored | None = None
    with policy_lock(store.run_dir, meanwhile=table.close_first):
        local.finish_apply(store)
        for _ in range(_ATTEMPTS):
            if not rebuild and table.close_first() is table.Standing.WHOLE:
                break
            done = local.restore_policy(store)
            rebuild = False
        endpoints = store.endpoints()
        left = (*host_ends.mend_host_ends([e for e in endpoints if e.result]), *strays(store, endpoints))
        return done or local.standing_policy(store), left


def _print(what: str, lines: Iterable[str]) -> None:
    for line in lines:
        print(f"calico-rkt: {what}: {line}", file=sys.stderr)
