"""Transactions of a few elements in; done, with the certainty that rules which read them are in the kernel, out.

The kernel counts the generations of its ruleset, and a transaction may name the one that it is meant for. So a
process that has looked at the rules once need not look again as long as only its own transactions came after:
whoever else changes anything makes the next one be refused, and it looks again.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from errno import ERESTART

from calico_rkt.plugin import netlink
from calico_rkt.plugin.enforce import wire
from calico_rkt.plugin.enforce.nft import NftError
from calico_rkt.plugin.result import CniError, Code

_GET_RULE, _GET_GENERATION = 10 << 8 | 7, 10 << 8 | 16  # NFNL_SUBSYS_NFTABLES and NFT_MSG_*
_INET = struct.pack("=BBH", 1, 0, 0)
_TABLE, _CHAIN, _GENERATION = 1, 2, 1  # NFTA_RULE_*, NFTA_GEN_ID
_ATTEMPTS, _PATIENCE = 100, 5
_LOCK = threading.Lock()  # the socket's answers come in the order of its questions


class _Socket(netlink.Socket):
    """A netfilter socket that stays open: closing one waits 10 to 16 ms for the kernel to finish deletions."""

    def __init__(self, place: tuple[int, int, int]) -> None:
        super().__init__(netlink.NETFILTER)
        self.limit(_PATIENCE)
        self.place = place
        self.known: int | None = None
        """The generation of the ruleset after our last transaction or look, while nobody else's came between."""
        self.vouched: frozenset[str] = frozenset()
        """The networks whose rules were seen to be whole in that generation."""

    def generation(self) -> int:
        answer = self.get(_GET_GENERATION, _INET)
        return int.from_bytes(netlink.attributes(answer[4:])[_GENERATION], "big")

    def count(self, table: str, chain: str) -> int:
        body = _INET + netlink.attribute(_TABLE, table.encode() + b"\0")
        body += netlink.attribute(_CHAIN, chain.encode() + b"\0")
        for _ in range(_ATTEMPTS):
            found, whole = self.dump_once(_GET_RULE, body)
            if whole:
                return len(found)
        raise CniError(Code.TRY_AGAIN, f"the rules of chain {chain} changed {_ATTEMPTS} times while they were counted")

    def commit(self, messages: Sequence[bytes]) -> None:
        """One transaction; NetlinkError when nothing of it is done. What is known stays known only if it still holds."""
        problem = self.transaction([wire.begin(self.known), *messages, wire.end()])
        if problem is not None and problem.errno == ERESTART:
            self.known, self.vouched = None, frozenset()
            problem = self.transaction([wire.begin(None), *messages, wire.end()])
        if problem is not None:
            raise problem
        if self.known is not None:
            self.known = (self.known + 1) % (1 << 32) or 1  # as the kernel counts: 0 is no generation


_current: list[_Socket] = []


def change(messages: Sequence[bytes], network_id: str = "") -> bool:
    """Do all that the messages say, or nothing: NftError then.

    True when it was done in a ruleset that network_id has been vouched for; else the caller looks at the rules.
    """
    with _LOCK, _errors():
        socket = _socket()
        vouched = network_id in socket.vouched
        socket.commit(messages)
        return vouched and network_id in socket.vouched


def vouch(network_id: str, look: Callable[[], CniError | None]) -> None:
    """Look at a network's rules, and raise what is wrong with them; keep in mind that nothing is."""
    with _LOCK, _errors():
        before = _socket().generation()
    problem = look()
    if problem is not None:
        raise problem
    with _LOCK, _errors():
        socket = _socket()
        if socket.generation() == before:
            socket.vouched = frozenset({network_id}) | (socket.vouched if socket.known == before else frozenset())
            socket.known = before


def rule_counts(table: str, chains: Iterable[str]) -> dict[str, int]:
    """How many rules chains of an inet table have, 0 also where chain or table is missing.

    libnftables would read every element of the table before it lists one chain.
    """
    with _LOCK, _errors():
        socket = _socket()
        return {chain: socket.count(table, chain) for chain in chains}


def _socket() -> _Socket:
    """The socket of this process in this thread's namespace; the caller holds _LOCK."""
    # One held over a fork would share its answers, and over a thread's setns talk to the wrong namespace.
    net = os.stat("/proc/thread-self/ns/net")  # noqa: PTH116 - twice as fast, at every attach
    place = (os.getpid(), net.st_dev, net.st_ino)
    if not _current or _current[0].place != place:
        made = _Socket(place)
        for old in _current:
            old.close()
        _current[:] = [made]
    return _current[0]


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except OSError as e:
        words = os.strerror(e.errno or 0)
        details = words if e.strerror in (None, words) else f"{words}: {e.strerror}"
        raise NftError(Code.POLICY, f"nftables refused a change: {words}", details) from e
