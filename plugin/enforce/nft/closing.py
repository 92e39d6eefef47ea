"""A host whose table is gone or not whole in, one that drops everything of ours out: no lock, no file, no text.

One transaction of a few messages, encoded here, because libnftables can't say which generation of the ruleset it is
meant for: where anything changed since the look, the kernel refuses it, and what is there by then is looked at. So a
table that somebody made whole in between is never taken away.

A table of our name that another process holds can't be replaced by anybody. Then a table beside it drops everything of
ours, until a restore that succeeds takes it away.
"""

from __future__ import annotations

from contextlib import suppress
from errno import ERESTART
from itertools import islice
from pathlib import Path

from calico_rkt.plugin.enforce.nft import layout, transactions
from calico_rkt.plugin.enforce.nft import messages as wire
from calico_rkt.plugin.enforce.nft.elements import OURS, TABLE
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
    RULE_EXPRESSIONS,
    RULE_TABLE,
    RULE_USERDATA,
    TABLE_NAME,
    text,
)
from calico_rkt.plugin.enforce.nft.standing import Standing, look_at_table
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import netlink, state
from calico_rkt.plugin.link.netlink import attribute
from calico_rkt.plugin.link.sockets import host_socket
from calico_rkt.plugin.model import CLUSTER_PREFIX

BESIDE = f"{TABLE}_closed"
"""The table that closes a host where the name of ours is held by somebody else."""

_ATTEMPTS = 100
_FIRST_LINKS = 4
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE = (10 << 8 | kind for kind in (0, 2, 3, 6))  # NFT_MSG_*
_ELEMENT, _EXPRESSION_NAME, _EXPRESSION_DATA = 1, 1, 2  # NFTA_LIST_ELEM, NFTA_EXPR_*
_META_REGISTER, _META_KEY, _INCOMING, _OUTGOING = 1, 2, 6, 7  # NFTA_META_*, NFT_META_IIFNAME and _OIFNAME
_CMP_REGISTER, _CMP_OPERATOR, _CMP_DATA, _EQUAL = 1, 2, 3, 0  # NFTA_CMP_*
_IMMEDIATE_REGISTER, _IMMEDIATE_DATA = 1, 2
_VALUE, _VERDICT, _CODE, _DROP, _RETURN = 1, 2, 1, 0, -5  # NFTA_DATA_*, NFTA_VERDICT_CODE


def close_first(*, remember: bool = False) -> Standing:
    """Close the host where it is open; how the table stands then: never BROKEN, never HELD. remember: look_at_table().

    Open is a table that is not whole by its own measure, and a table that is not there while links of ours are up. A
    host without either has nothing to close. HeldTableError where a process holds the table; the host is closed then.
    """
    for _ in range(_ATTEMPTS):
        generation, found = look_at_table(remember=remember)
        if found is Standing.NONE and not links_are_up():
            return found
        if found is Standing.HELD:
            if _close_beside(generation):
                raise HeldTableError
        elif found not in (Standing.NONE, Standing.BROKEN):
            return found
        elif _close(generation, there=found is Standing.BROKEN):
            return Standing.CLOSED
    raise CniError(Code.TRY_AGAIN, f"the ruleset changed {_ATTEMPTS} times before it could be closed")


class HeldTableError(CniError):
    """Another process holds the table: nothing can be put in force before it ends."""

    def __init__(self) -> None:
        with transactions.held() as socket:
            flags = socket.flags(TABLE)
        who = f" (process {flags.owner}, by its netlink socket's number)" if flags and flags.owner else ""
        super().__init__(
            Code.POLICY,
            f"the nftables table inet {TABLE} is {Standing.HELD.value}{who}; all of ours is dropped meanwhile",
            f"end that process: its table ends with it; then: calico-rkt restore (table inet {BESIDE} is what drops)",
        )


def links_are_up() -> bool:
    """Whether a veth is up that carries our alias or a name of ours; True where that can't be seen.

    Not a cluster's: what Felix calls its own, Felix polices.
    """
    try:
        with host_socket() as socket:
            if _first_is_up(socket):
                return True
            ours = (i for i in state.veths(socket) if not i.name.startswith(CLUSTER_PREFIX))
            return any(i.up and (i.nonce or i.name.startswith(state.PREFIX)) for i in ours)
    except OSError:
        return True  # no descriptor, say: a table too many is no harm, an open host is


def _first_is_up(socket: netlink.Socket) -> bool:
    """Whether one of the first links with a name of ours is up: to read thousands takes the kernel and us 70 ms."""
    with suppress(FileNotFoundError, UnicodeError), Path("/proc/thread-self/net/dev").open(encoding="utf-8") as lines:
        names = (line.partition(":")[0].strip() for line in lines)
        for name in islice((n for n in names if n.startswith(state.PREFIX)), _FIRST_LINKS):
            end = state.interface(socket, name)
            if end is not None and end.up and end.kind == "veth":
                return True
    return False


def _close(generation: int, *, there: bool) -> bool:
    """Put the closed table in the place of what is there; False where the ruleset has changed since the look."""
    return _shut(generation, TABLE, there=there)


def _close_beside(generation: int) -> bool:
    """The same by a table of another name, where it is not there and whole already."""
    with transactions.held() as socket:
        flags = socket.flags(BESIDE)
        counts = {name: socket.count(BESIDE, name) for name in layout.SHUT.rules}
    if flags and not flags.dormant and counts == layout.SHUT.rules:
        return True
    return _shut(generation, BESIDE, there=flags is not None)


def _shut(generation: int, table: str, *, there: bool) -> bool:
    messages = [
        wire.begin(generation),
        *([_message(_DELETE_TABLE, 0, attribute(TABLE_NAME, text(table)))] if there else ()),
        _message(_NEW_TABLE, netlink.CREATE | netlink.EXCL, attribute(TABLE_NAME, text(table))),
        *(_chain(table, name) for name in (*sorted(layout.SHUT.rules), layout.CHAIN)),
        _rule(table, "prerouting", _interface(_INCOMING) + _verdict(_DROP)),
        _rule(table, "forward", _interface(_OUTGOING) + _verdict(_DROP)),
        _rule(table, layout.CHAIN, _verdict(_RETURN), layout.CLOSED),
        wire.end(),
    ]
    with transactions.held() as socket:
        problem = socket.transaction(messages)
    if problem is None:
        return True
    if problem.errno == ERESTART:
        return False
    raise CniError(
        Code.POLICY,
        f"the host is open and can not be closed: {problem.strerror}",
        "nft list ruleset; calico-rkt restore",
    )


def _chain(table: str, name: str) -> bytes:
    body = attribute(CHAIN_TABLE, text(table)) + attribute(CHAIN_NAME, text(name))
    hook = layout.SHUT.hooks.get(name)
    if hook is not None:
        at = attribute(HOOK_NUMBER, _be32(hook.number)) + attribute(HOOK_PRIORITY, _be32(hook.priority))
        body += attribute(CHAIN_HOOK, at, nested=True)
        body += attribute(CHAIN_POLICY, _be32(ACCEPT)) + attribute(CHAIN_TYPE, text(hook.kind))
    return _message(_NEW_CHAIN, netlink.CREATE | netlink.EXCL, body)


def _rule(table: str, chain: str, expressions: bytes, comment: str = "") -> bytes:
    body = attribute(RULE_TABLE, text(table)) + attribute(RULE_CHAIN, text(chain))
    body += attribute(RULE_EXPRESSIONS, expressions, nested=True)
    if comment:
        words = text(comment)
        body += attribute(RULE_USERDATA, bytes([0, len(words)]) + words)
    return _message(_NEW_RULE, netlink.CREATE | _APPEND, body)


_APPEND = 0x800  # NLM_F_APPEND


def _interface(key: int) -> bytes:
    """The interface's name begins with ours."""
    load = attribute(_META_KEY, _be32(key)) + attribute(_META_REGISTER, _be32(1))
    prefix = attribute(_VALUE, OURS.rstrip("*").encode())
    same = attribute(_CMP_REGISTER, _be32(1)) + attribute(_CMP_OPERATOR, _be32(_EQUAL))
    same += attribute(_CMP_DATA, prefix, nested=True)
    return _expression("meta", load) + _expression("cmp", same)


def _verdict(code: int) -> bytes:
    data = attribute(_VERDICT, attribute(_CODE, _be32(code)), nested=True)
    body = attribute(_IMMEDIATE_REGISTER, _be32(0)) + attribute(_IMMEDIATE_DATA, data, nested=True)
    return _expression("immediate", body)


def _expression(name: str, data: bytes) -> bytes:
    body = attribute(_EXPRESSION_NAME, text(name)) + attribute(_EXPRESSION_DATA, data, nested=True)
    return attribute(_ELEMENT, body, nested=True)


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return netlink.message(kind, netlink.REQUEST | flags, INET + body)


def _be32(number: int) -> bytes:
    return number.to_bytes(4, "big", signed=number < 0)
