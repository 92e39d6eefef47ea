"""Transactions of a few elements in; done, with the certainty that rules which read them are in the kernel, out.

The kernel counts the generations of its ruleset, of all tables together, and a transaction may name the one that it is
meant for (NFTA_GEN_ID in the message that begins it); named another, it is refused with ERESTART. So a process that has
looked at the rules once (vouch) need not look again as long as only its own transactions came after, each of which
counts one up (commit): whoever else changes anything in any table makes the next one be refused, and it looks again.
What an ADD gains by it is nine listings, 0.3 ms; what it never does is to count on chains that somebody flushed
meanwhile. docs/decisions/022-rules-are-looked-at-once-a-generation.md

A transaction that changes nothing is answered like any other and counts no generation up. So what is counted here
without asking has to be sure of a change: elements that are added must not be there yet, or the kernel is asked anew.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from errno import EBADMSG, EEXIST, ENOENT, ERESTART
from types import TracebackType

from calico_rkt.compiler.values import dataclass
from calico_rkt.plugin.enforce.nft import messages as wire
from calico_rkt.plugin.enforce.nft.kernel_numbers import (
    ACCEPT,
    CHAIN_HOOK,
    CHAIN_NAME,
    CHAIN_POLICY,
    CHAIN_TABLE,
    CHAIN_TYPE,
    HOOK_NUMBER,
    HOOK_PRIORITY,
    INET,
    RULE_CHAIN,
    RULE_HANDLE,
    RULE_TABLE,
    RULE_USERDATA,
    TABLE_NAME,
    text,
)
from calico_rkt.plugin.enforce.nft.layout import Hook
from calico_rkt.plugin.enforce.nft.libnftables import NftError
from calico_rkt.plugin.enforce.nft.messages import Element
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netlink import KNOWN_SHAPE, attribute, attributes, plain
from calico_rkt.plugin.link.numbered import Batch
from calico_rkt.plugin.link.sockets import process_in_netns

_GET_TABLE, _GET_CHAIN, _GET_RULE, _DELETE_RULE, _GET_ELEMENT, _GET_GENERATION = (
    10 << 8 | kind for kind in (1, 4, 7, 8, 13, 16)
)
"""NFNL_SUBSYS_NFTABLES and NFT_MSG_*."""
FAMILIES = {name: struct.pack("=BBH", number, 0, 0) for name, number in (("ip", 2), ("inet", 1), ("ip6", 10))}
"""The head of a message about something of a family that is of IP, by the family's name."""
BELOW_IP = {name: struct.pack("=BBH", number, 0, 0) for name, number in (("arp", 3), ("netdev", 5), ("bridge", 7))}
"""The same of those that see frames."""
_TABLE_FLAGS, _TABLE_OWNER, _DORMANT = 2, 7, 1  # NFTA_TABLE_*, NFT_TABLE_F_DORMANT
_GENERATION = 1  # NFTA_GEN_ID
_GENERATION_AT = netlink.Place(_GENERATION, 4)
_OF_TABLE, _OF_SET, _ELEMENTS, _ELEMENT, _KEY, _DATA = 1, 2, 3, 1, 1, 2  # NFTA_SET_ELEM_LIST_*, NFTA_SET_ELEM_*
_VALUE, _VERDICT, _CODE, _CHAIN, _GOTO = 1, 2, 1, 2, (-4).to_bytes(4, "big", signed=True)  # NFTA_DATA_*, NFTA_VERDICT_*
_ATTEMPTS, _PATIENCE = 100, 5
_LOCK = threading.Lock()  # the socket's answers come in the order of its questions


@dataclass(frozen=True, slots=True)
class Flags:
    """dormant: its hooks are taken out. owner: the number of the netlink socket whose end is the table's, 0 of none.

    Most programs have their process's number there.
    """

    dormant: bool
    owner: int


class Socket(netlink.Socket):
    """A netfilter socket that stays open: closing one waits 10 to 16 ms for the kernel to finish deletions."""

    def __init__(self, where: tuple[int, int, int]) -> None:
        super().__init__(netlink.NETFILTER)
        self.limit(_PATIENCE)
        self.place = where
        self.known: int | None = None
        """The generation of the ruleset after our last transaction or look, while nobody else's came between."""
        self.whole = False
        """Whether the table was seen to be whole in that generation, but for networks' chains."""
        self.vouched: frozenset[str] = frozenset()
        """The networks whose rules were seen to be whole in that generation."""

    def generation(self) -> int:
        """The number of the ruleset as it is now; every transaction that changes something has the next."""
        answer = self.get(_GET_GENERATION, INET)
        found = _GENERATION_AT.of(answer)
        if found:
            return int.from_bytes(found, "big")
        with KNOWN_SHAPE:
            return int.from_bytes(attributes(answer[4:])[_GENERATION], "big")

    def flags(self, table: str, family: bytes = INET) -> Flags | None:
        """What a table says of itself, by default one of inet; None where it is not there."""
        try:
            answer = self.get(_GET_TABLE, family + attribute(TABLE_NAME, text(table)))
        except netlink.NetlinkError as e:
            if e.errno == ENOENT:
                return None
            raise
        return _flags(attributes(answer[4:]))

    def tables(self, heads: Mapping[str, bytes] = FAMILIES) -> list[tuple[str, str, Flags]]:
        """Every table of a family that these have: that family, its name, and what it says of itself."""
        families = {head[0]: family for family, head in heads.items()}
        with KNOWN_SHAPE:
            found = [(body[0], attributes(body[4:])) for body in self.dump(_GET_TABLE, bytes(4))]
            return [(families[n], plain(f[TABLE_NAME]), _flags(f)) for n, f in found if n in families]

    def hook(self, table: str, chain: str) -> Hook | None:
        """Where a chain that lets through what no rule decides is hooked in; None for any other, or none."""
        body = INET + attribute(CHAIN_TABLE, text(table)) + attribute(CHAIN_NAME, text(chain))
        try:
            found = attributes(self.get(_GET_CHAIN, body)[4:])
        except netlink.NetlinkError as e:
            if e.errno == ENOENT:
                return None
            raise
        if CHAIN_HOOK not in found or int.from_bytes(found.get(CHAIN_POLICY, b""), "big") != ACCEPT:
            return None
        with KNOWN_SHAPE:
            at = attributes(found[CHAIN_HOOK])
            priority = int.from_bytes(at[HOOK_PRIORITY], "big", signed=True)
            kind = plain(found.get(CHAIN_TYPE, b""))
            return Hook(kind, int.from_bytes(at[HOOK_NUMBER], "big"), priority)

    def leads_to(self, table: str, name: str, key: bytes) -> str:
        """The chain that a map's key goes to; empty where the key, the map or the table is not there."""
        element = attribute(_ELEMENT, attribute(_KEY, attribute(_VALUE, key), nested=True), nested=True)
        place = attribute(_OF_TABLE, text(table)) + attribute(_OF_SET, text(name))
        try:
            answer = self.get(_GET_ELEMENT, INET + place + attribute(_ELEMENTS, element, nested=True))
        except netlink.NetlinkError as e:
            if e.errno == ENOENT:
                return ""
            raise
        found = attributes(attributes(attributes(answer[4:]).get(_ELEMENTS, b"")).get(_ELEMENT, b""))
        verdict = attributes(attributes(found.get(_DATA, b"")).get(_VERDICT, b""))
        return plain(verdict.get(_CHAIN, b"")) if verdict.get(_CODE) == _GOTO else ""

    def count(self, table: str, chain: str) -> int:
        """How many rules a chain has, 0 where it is not there."""
        return len(self._rules(table, chain))

    def comments(self, table: str, chain: str) -> tuple[str, ...]:
        """The comments of a chain's rules, in order."""
        return tuple(comment_of(attributes(r[4:]).get(RULE_USERDATA, b"")) for r in self._rules(table, chain))

    def _rules(self, table: str, chain: str) -> list[bytes]:
        body = INET + attribute(RULE_TABLE, text(table)) + attribute(RULE_CHAIN, text(chain))
        for _ in range(_ATTEMPTS):
            found, whole = self.dump_once(_GET_RULE, body)
            if whole:
                return found
        raise CniError(Code.TRY_AGAIN, f"the rules of chain {chain} changed {_ATTEMPTS} times while they were read")

    def deleting(self, table: str, chain: str, part: bytes) -> bytes:
        """The message that deletes the first rule of a chain, which has to have this in it."""
        first = next(iter(self._rules(table, chain)), b"")
        if part not in first:
            raise CniError(Code.TRY_AGAIN, f"somebody else changed chain {chain} meanwhile")
        place = attribute(RULE_TABLE, text(table)) + attribute(RULE_CHAIN, text(chain))
        with KNOWN_SHAPE:
            handle = attribute(RULE_HANDLE, attributes(first[4:])[RULE_HANDLE])
        return netlink.message(_DELETE_RULE, netlink.REQUEST, INET + place + handle)

    def commit(self, messages: Callable[[int | None], Sequence[bytes] | Batch]) -> None:
        """One transaction that changes something for sure, or NetlinkError and nothing of it.

        messages: those of one that is meant for a generation, or for any.
        """
        problem = self.transaction(messages(self.known))
        if problem is not None and problem.errno == ERESTART:
            self.forget()
            problem = self.transaction(messages(None))
        if problem is not None:
            raise problem
        if self.known is not None:
            self.known = (self.known + 1) % (1 << 32) or 1  # as the kernel counts: 0 is no generation

    def forget(self) -> None:
        """Look at the rules again before anything is said of them."""
        self.known, self.whole, self.vouched = None, False, frozenset()

    def saw_whole(self, generation: int) -> None:
        """The table was seen to be whole in this generation of the ruleset: what was seen in another is over."""
        if self.known != generation:
            self.known, self.vouched = generation, frozenset()
        self.whole = True


_current: list[Socket] = []


class held:  # noqa: N801 - used as a function, which takes longer, twice an attach
    """The socket of this process in this thread's namespace, nobody else's meanwhile; errors are NftError."""

    def __enter__(self) -> Socket:
        _LOCK.acquire()
        try:
            self._socket = _socket()
        except BaseException as e:
            _LOCK.release()
            if isinstance(e, OSError):
                raise _error(e) from e
            raise
        return self._socket

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is not None and (not isinstance(error, netlink.NetlinkError) or error.errno == EBADMSG):
            _current.clear()
            self._socket.close()  # half of an answer may be left in it, and the kernel begins no other list then
        _LOCK.release()
        if isinstance(error, OSError):
            raise _error(error) from error


def add_elements(elements: Iterable[Element], network_id: str = "") -> bool:
    """Put elements in place, all or none: NftError then. Those that are there already are no error.

    True when it was done in a ruleset that network_id has been vouched for; else the caller looks at the rules.
    """
    found = tuple(elements)
    with held() as socket:
        vouched = network_id in socket.vouched
        try:
            socket.commit(lambda generation: wire.adding(found, generation, fresh=True))
        except netlink.NetlinkError as e:
            if e.errno != EEXIST:
                raise
            socket.forget()  # this one may change nothing, and no generation may be counted for it
            socket.commit(lambda generation: wire.adding(found, generation))
        return vouched and network_id in socket.vouched


def delete_elements(elements: Iterable[Element]) -> None:
    """Take elements out, all or none: NftError where one is not there."""
    found = tuple(elements)
    with held() as socket:
        socket.commit(lambda generation: wire.deleting(found, generation))


def vouch(network_id: str, look: Callable[[], CniError | None]) -> None:
    """Look at a network's rules, and raise what is wrong with them; keep in mind that nothing is."""
    with held() as socket:
        before = socket.generation()
    problem = look()
    if problem is not None:
        raise problem
    with held() as socket:
        if socket.generation() == before:
            socket.saw_whole(before)
            socket.vouched |= {network_id}


def rule_counts(table: str, chains: Iterable[str]) -> dict[str, int]:
    """How many rules chains of an inet table have, 0 also where chain or table is missing.

    libnftables would read every element of the table before it lists one chain.
    """
    with held() as socket:
        return {chain: socket.count(table, chain) for chain in chains}


def delete_rules(table: str, firsts: Mapping[str, bytes]) -> None:
    """Delete the first rule of each of these chains of an inet table, all or none; each has to have its bytes in it."""
    with held() as socket:
        deleted = [socket.deleting(table, chain, part) for chain, part in firsts.items()]
        socket.commit(lambda generation: [wire.begin(generation), *deleted, wire.end()])


def _socket() -> Socket:
    """The caller holds _LOCK."""
    # One held over a fork would share its answers, and over a thread's setns talk to the wrong namespace.
    here = process_in_netns()
    if not _current or _current[0].place != here:
        made = Socket(here)
        for old in _current:
            old.close()
        _current[:] = [made]
    return _current[0]


def _flags(found: Mapping[int, bytes]) -> Flags:
    dormant = bool(int.from_bytes(found.get(_TABLE_FLAGS, b""), "big") & _DORMANT)
    return Flags(dormant, int.from_bytes(found.get(_TABLE_OWNER, b""), "big"))


def _error(e: OSError) -> NftError:
    words = os.strerror(e.errno or 0)
    details = words if e.strerror in (None, words) else f"{words}: {e.strerror}"
    return NftError(Code.POLICY, f"nftables refused a change: {words}", details)


def comment_of(data: bytes) -> str:
    """A rule's comment: NFTNL_UDATA_RULE_COMMENT of a rule's user data: kind 0, a length, the words and a zero."""
    return plain(data[2 : 2 + data[1]]) if data[:1] == b"\0" and len(data) > 1 else ""
