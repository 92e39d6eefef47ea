"""What a kernel answered in, damaged; what reads links, routes, rulesets and flows from netlink, as a door, out."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from random import Random
from unittest.mock import patch

from hypothesis import strategies as st

from calico_rkt.plugin.enforce.nft import transactions
from calico_rkt.plugin.enforce.nft.ruleset import ends_of_chains, keys_of, read_ruleset
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link import conntrack, ip_rules, netlink, state
from calico_rkt.plugin.publish.open_flows import read_flow
from tests.properties.inputs.door import Door, foreseen
from tests.properties.inputs.kernel_said import DATAGRAMS

_HEADER = struct.Struct("=IHHII")
_DONE = 3
_ADDRESS = ip_address("10.65.0.1")
_LENGTHS = (0, 1, 3, 4, 5, 7, 8, 0x7FFF, 0xFFFF)


class _Kernel:
    """A netlink socket's other end: it answers with what was recorded, a place of which is damaged."""

    def __init__(self, chance: Random, manner: str) -> None:
        self.chance, self.manner = chance, manner
        self.left: list[bytes] = []

    def send(self, data: bytes) -> None:
        for length, kind, flags, sequence, _ in _messages(data):
            is_dump = bool(flags & 0x300 == 0x300)
            family = data[16:17].hex() if length > 16 else "00"
            names = (f"{kind} {'300' if is_dump else '0'} {family}", f"{kind} {'300' if is_dump else '0'} 00")
            found = next((DATAGRAMS[n] for n in names if n in DATAGRAMS), None)
            if found is None or (self.manner == "ended" and self.chance.random() < 0.3):
                found = [_HEADER.pack(20, _DONE, 2, 0, 0) + struct.pack("=i", self.chance.choice([0, -2, -16, -105]))]
            self.left += [self._damaged(_numbered(d, sequence)) for d in found]

    def recv(self, _: int) -> bytes:
        if not self.left:
            raise TimeoutError(11, "no answer")
        return self.left.pop(0)

    def setsockopt(self, *_: object) -> None:
        pass

    close = fileno = setsockopt

    def _damaged(self, data: bytes) -> bytes:
        """Headers of messages stay mostly: what is inside is what the readers take apart."""
        if self.manner == "whole" or self.chance.random() < 0.5:
            return data
        found = bytearray(data)
        for _ in range(self.chance.choice([1, 1, 2, 5])):
            at = self.chance.randrange(len(found))
            if self.manner == "bytes":
                found[at] = self.chance.randrange(256)
            elif self.manner == "lengths" and at > 15:
                struct.pack_into("=H", found, min(at & ~3, len(found) - 2), self.chance.choice(_LENGTHS))
            elif self.manner == "cut":
                del found[at:]
                break
            elif self.manner == "shrunk":
                return _shrunk(bytes(found), self.chance)
        return bytes(found) or data[:1]


def _messages(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    at = 0
    while at + 16 <= len(data):
        found = _HEADER.unpack_from(data, at)
        yield found
        at += (max(found[0], 16) + 3) & ~3


def _numbered(data: bytes, sequence: int) -> bytes:
    """The same as an answer to this question."""
    found, at = bytearray(data), 0
    for length, *_ in _messages(data):
        struct.pack_into("=I", found, at + 8, sequence)
        at += (max(length, 16) + 3) & ~3
    return bytes(found)


def _shrunk(data: bytes, chance: Random) -> bytes:
    """Bodies of messages end early, with a header that says so: another kernel's structures are shorter."""
    out, at = b"", 0
    for length, kind, flags, sequence, pid in _messages(data):
        body = data[at + 16 : at + length]
        at += (max(length, 16) + 3) & ~3
        if kind != _DONE and chance.random() < 0.5:
            body = body[: chance.randrange(len(body) + 1)]
        out += _HEADER.pack(16 + len(body), kind, flags, sequence, pid) + body + bytes(-len(body) & 3)
    return out


def _asked_of_nft(socket: transactions.Socket) -> None:
    socket.generation()
    socket.flags("calico_rkt")
    socket.hook("calico_rkt", "forward")
    socket.comments("calico_rkt", "layout")


def _last_rules(socket: netlink.Socket) -> None:
    for _, data in ends_of_chains(socket).values():
        transactions.comment_of(data)


_ASKED: dict[str, Callable[[netlink.Socket], object]] = {
    "interfaces": state.interfaces,
    "veths": state.veths,
    "marked": lambda s: list(state.marked(s)),
    "groups": lambda s: list(state.groups(s)),
    "interface": lambda s: state.interface(s, "up0"),
    "interface_at": lambda s: state.interface_at(s, 2),
    "addresses": lambda s: list(state.addresses(s)),
    "routes": lambda s: list(state.routes(s)),
    "unreachable": lambda s: list(state.unreachable(s)),
    "source_rules": lambda s: list(ip_rules.source_rules(s)),
    "policy_rules": lambda s: [ip_rules.policy_rules(s, version) for version in (4, 6)],
    "missing_rules": lambda s: [ip_rules.missing_rules(s, version) for version in (4, 6)],
    "lookup": lambda s: state.lookup(s, _ADDRESS),
    "ruleset": read_ruleset,
    "keys": lambda s: keys_of(s, "all4"),
    "ends of chains": _last_rules,
    "nft": _asked_of_nft,  # type: ignore[arg-type]
    "links gone": lambda s: s.links_gone(),
    "entries": lambda _: conntrack.entries(read_flow),
    "forget": lambda _: conntrack.forget([_ADDRESS], [], []),
    "flush": lambda _: conntrack.flush_flows([_ADDRESS]),
}


@contextmanager
def _kernel(told: tuple[str, str, int]) -> Iterator[netlink.Socket]:
    what, manner, seed = told
    with patch("socket.socket", lambda *_: _Kernel(Random(seed), manner)), patch.object(conntrack, "_flows", lambda: 2):
        yield transactions.Socket((0, 0, 0)) if what == "nft" else netlink.Socket()


def _enter(told: tuple[str, str, int]) -> None:
    with _kernel(told) as socket:
        try:
            if told[0] == "links gone":
                socket._send(18, 0x301, b"")
            _ASKED[told[0]](socket)
        except CniError as e:
            foreseen(e)
        except OSError:  # a NetlinkError, which all callers turn into words
            pass


NETLINK = Door(
    "netlink's answers",
    "links, addresses, routes, the ruleset and flows as another or a broken kernel tells of them",
    st.tuples(
        st.sampled_from(sorted(_ASKED)),
        st.sampled_from(["bytes", "bytes", "lengths", "cut", "shrunk", "shrunk", "ended", "whole"]),
        st.integers(0, 1 << 32),
    ),
    _enter,
    share=60,
)
