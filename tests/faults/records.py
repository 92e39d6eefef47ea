"""A watched host and a fault in; an older build's records taken over or given back meanwhile, and none of them lost."""

from __future__ import annotations

from tests.clients.support.caller import Reply
from tests.clients.support.lab import PLUGINS, STATE
from tests.faults.commands import Command
from tests.faults.host import WatchedHost
from tests.faults.verbs import Add

_OLDER = "/run/calico-rkt/state.sqlite"
_AT_VERSION = slice(60, 64)
_ONE, _TWO = (n.to_bytes(4, "big") for n in (1, 2))


def version(host: WatchedHost) -> bytes:
    """What the head of an older build's file says; a journal beside it may take that back."""
    return host.lab.path(_OLDER).read_bytes()[_AT_VERSION]


def settled(host: WatchedHost) -> None:
    """Where a log is, an older build refuses; who comes next finds all records, and makes that so where it is not."""
    if host.lab.path(STATE).exists():
        assert version(host) == _TWO, "both are the truth"
    host.lab.out(f"{PLUGINS}/calico", "ls")
    assert version(host) == _TWO
    assert host.lab.path(STATE).exists()


class TakeOver(Add):
    """The ADD that finds the records of an older build: attached or nothing left, and the others' records are there."""

    name = "takeover"

    def prepare(self) -> None:
        super().prepare()
        self.host.lab.out(f"{PLUGINS}/calico", "downgrade")
        assert version(self.host) == _ONE
        assert not self.host.lab.path(STATE).exists()

    def judge(self, reply: Reply) -> None:
        settled(self.host)
        super().judge(reply)


class Downgrade(Command):
    """`calico-rkt downgrade`: an older build has all records, or this one has them still."""

    name = "downgrade"
    argv = ("downgrade",)

    def prepare(self) -> None:
        settled(self.host)

    def judge(self, reply: Reply) -> None:
        if reply.status == 0:
            assert version(self.host) == _ONE
            assert not self.host.lab.path(STATE).exists()
        settled(self.host)
        self.same_as_before("by a downgrade")
