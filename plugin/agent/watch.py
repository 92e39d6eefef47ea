"""The kernel's news of nftables in; a call whenever something of ours may have been taken away out."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from calico_rkt.plugin.process.log import LOG

_NETFILTER, _SOL_NETLINK, _ADD_MEMBERSHIP = 12, 270, 1
_NEWS_OF_NFTABLES = 7  # NFNLGRP_NFTABLES of linux/netfilter/nfnetlink.h
_SO_ATTACH_FILTER = 26
_PAUSE, _AT_ONCE = 1.0, 1000
_NEW_GENERATION = 10 << 8 | 15
_BY_WHOM, _NFT = 40, int.from_bytes(b"nft\0", "big")
"""Where the program's name stands in NFT_MSG_NEWGEN, behind the generation and the process; that of nft(8)."""
_IGNORED = tuple(10 << 8 | kind for kind in (12, 14))
"""NFT_MSG_NEWSETELEM, DELSETELEM (linux/netfilter/nf_tables.h): what every ADD and DEL of ours gives rise to.

NEWGEN comes after each transaction, and counts where somebody made it by nft(8): elements may have gone by hand.

A flush of a table or of the ruleset begins with rules and chains (nf_tables_api.c, nft_flush_table), never with these.
"""


class _Program(ctypes.Structure):
    """struct sock_fprog of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def watch(changed: Callable[[], None]) -> threading.Thread:
    """Call `changed` in a thread of its own after each transaction that may have taken tables or chains away.

    From when this returns nothing is missed. The thread ends with the process, whatever happens to its socket.
    """
    thread = threading.Thread(target=_listen, args=(_opened(), changed), name="nftables", daemon=True)
    thread.start()
    return thread


def _opened() -> socket.socket:
    news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
    try:
        news.bind((0, 0))
        _ignore_elements(news)
        news.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _NEWS_OF_NFTABLES)
    except BaseException:
        news.close()
        raise
    return news


def _listen(news: socket.socket | None, changed: Callable[[], None]) -> None:
    while True:
        if news is None:
            news = _again()
        else:
            try:
                news.recv(1 << 16)
                _drain(news)
            except OSError as e:
                if e.errno != errno.ENOBUFS:  # more news than there was room for: reason enough to look
                    LOG.error("the kernel tells no more of nftables: %s; asking anew", e)
                    news.close()
                    news = _again()
        try:
            changed()
        except Exception:  # noqa: BLE001 - the next flush has to be noticed, too
            LOG.exception("after a change of the ruleset")


def _drain(news: socket.socket) -> None:
    """One look is enough for all that is there: a restore of ours alone is hundreds of pieces of news."""
    with suppress(BlockingIOError):
        for _ in range(_AT_ONCE):
            news.recv(1 << 16, socket.MSG_DONTWAIT)


def _again() -> socket.socket | None:
    """A new socket; None where there is none to be had yet, after a pause: whoever listens looks by itself then."""
    try:
        return _opened()
    except OSError as e:
        LOG.error("no news of nftables: %s", e)
        time.sleep(_PAUSE)
        return None


def _ignore_elements(news: socket.socket) -> None:
    """A filter in the kernel, by the first message of each piece of news: our own calls wake nobody."""
    *ignored, generation = (socket.htons(kind) for kind in (*_IGNORED, _NEW_GENERATION))  # BPF has network order
    load = struct.pack("=HBBI", 0x28, 0, 0, 4)  # BPF_LD | BPF_H | BPF_ABS: nlmsg_type
    jumps = [struct.pack("=HBBI", 0x15, 4 + len(ignored) - n - 1, 0, k) for n, k in enumerate(ignored)]  # BPF_JEQ: drop
    by_whom = struct.pack("=HBBI", 0x15, 0, 2, generation) + struct.pack(
        "=HBBI", 0x20, 0, 0, _BY_WHOM
    )  # BPF_LD | BPF_W
    by_nft = struct.pack("=HBBI", 0x15, 0, 1, _NFT)
    keep, drop = (struct.pack("=HBBI", 0x06, 0, 0, size) for size in (0xFFFFFFFF, 0))  # BPF_RET
    code = load + b"".join(jumps) + by_whom + by_nft + keep + drop
    room = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(room))
    news.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(program))
