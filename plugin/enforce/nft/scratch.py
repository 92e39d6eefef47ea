"""A script in; the table that the kernel makes of it, in a network namespace that ends with the call, out."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

from calico_rkt.plugin.enforce.nft import libnftables, ruleset
from calico_rkt.plugin.enforce.nft.elements import TABLE
from calico_rkt.plugin.enforce.nft.ruleset import Ruleset
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import netlink

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000


def made_of(script: str) -> Ruleset:
    """The table, to its last element."""
    return making(script)()


def making(script: str) -> Callable[[], Ruleset]:
    """The same, begun: libnftables is at it, in a process of its own, until it is called for."""

    def make() -> Ruleset:
        libnftables.run_nft(script)
        with netlink.Socket(netlink.NETFILTER) as socket:
            return ruleset.read_ruleset(socket)

    return _begun(make)


def listed(script: str) -> str:
    """How nft lists the table, without the elements of its sets."""
    return apart(lambda: libnftables.run_here(script, f"list table inet {TABLE}"))


def apart(work: Callable[[], T]) -> T:
    """Do it in a thread whose namespace is new, and dies with the thread: no other thread is ever there."""
    return _begun(work)()


def _begun(work: Callable[[], T]) -> Callable[[], T]:
    """Work that such a thread is at; to be called once, for what it gave."""
    done: list[T] = []
    failed: list[BaseException] = []

    def there() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
                reason = os.strerror(ctypes.get_errno())
                raise CniError(Code.POLICY, f"no network namespace to try it in: {reason}")
            done.append(work())
        except BaseException as e:  # noqa: BLE001 - raised again where it is waited for
            failed.append(e)

    thread = threading.Thread(target=there, name="scratch")
    thread.start()

    def ended() -> T:
        thread.join()
        if failed:
            raise failed[0]
        return done[0]

    return ended
