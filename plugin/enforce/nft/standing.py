"""The kernel's table looked at, in few messages whatever the number of endpoints in; how it stands out."""

from __future__ import annotations

from enum import Enum

from calico_rkt.plugin.enforce.nft import layout, transactions
from calico_rkt.plugin.enforce.nft.base import measure
from calico_rkt.plugin.enforce.nft.elements import TABLE
from calico_rkt.plugin.errors import CniError, Code

_ATTEMPTS = 100


class Standing(Enum):
    """How the table stands, by its own measure."""

    NONE = "not in the kernel"
    BROKEN = "not whole: packets may pass that no rule has judged"
    CLOSED = "closed: everything of ours is dropped until a restore"
    OLDER = "whole, and of another build's layout"
    NEWER = "whole, and of a newer layout than this build knows"
    HELD = "held by another process (nft's flag owner), so nobody else can change it"
    WHOLE = "whole"


def look_at_table(*, remember: bool = False) -> tuple[int, Standing]:
    """The ruleset's generation and how the table stands in it.

    remember: who asks next in this generation need not look; for a call, which asks again before it ends.
    """
    with transactions.held() as socket:
        for _ in range(_ATTEMPTS):
            before = socket.generation()
            if socket.whole and socket.known == before:
                return before, Standing.WHOLE
            found = _standing(socket)
            if socket.generation() == before:
                if remember and found is Standing.WHOLE:
                    socket.saw_whole(before)
                return before, found
    raise CniError(Code.TRY_AGAIN, f"the ruleset changed {_ATTEMPTS} times while it was looked at")


def standing() -> Standing:
    """How the table stands now."""
    return look_at_table()[1]


def _standing(socket: transactions.Socket) -> Standing:
    flags = socket.flags(TABLE)
    if flags is None:
        return Standing.NONE
    if flags.owner:
        return Standing.HELD
    comments = socket.comments(TABLE, layout.CHAIN)
    said = layout.read_measure(comments)
    if said is None or flags.dormant or not _fits(socket, said):
        return Standing.BROKEN
    if said == layout.SHUT or (layout.UNFINISHED in comments and said == measure()):
        return Standing.CLOSED
    if said == measure():
        return Standing.WHOLE
    return Standing.NEWER if said.version > layout.VERSION else Standing.OLDER


def _fits(socket: transactions.Socket, said: layout.Measure) -> bool:
    return all(socket.count(TABLE, c) == n for c, n in said.rules.items()) and any(
        all(socket.hook(TABLE, c) == h for c, h in hooks.items()) for hooks in layout.may_be_hooked(said)
    )
