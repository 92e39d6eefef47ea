"""Nothing in, a netlink socket of the host's namespace out: one that waits for its next use in a warm process."""

from __future__ import annotations

from types import TracebackType

from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netns import process_in_netns

__all__ = ["host_socket", "own_netns", "process_in_netns"]

_KEPT = 32
_idle: dict[int, list[tuple[tuple[int, int, int], netlink.Socket]]] = {netlink.ROUTE: [], netlink.NETFILTER: []}


class host_socket:  # noqa: N801 - used as a function: a generator in its place takes longer, four times an attach
    """A socket of the calling thread's namespace, nobody else's meanwhile; after an error it is closed.

    To close one of netfilter's takes 10 to 16 ms after a deletion from nftables, whoever deleted.
    """

    __slots__ = ("_here", "_idle", "_protocol", "_socket")

    def __init__(self, protocol: int = netlink.ROUTE) -> None:
        self._protocol = protocol

    def __enter__(self) -> netlink.Socket:
        self._here, self._idle = process_in_netns(), _idle[self._protocol]
        self._socket = _taken(self._here, self._idle) or netlink.Socket(self._protocol)
        return self._socket

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is None and len(self._idle) < _KEPT:
            self._idle.append((self._here, self._socket))
        else:
            self._socket.close()  # after an error an answer may be left in it


def _taken(
    here: tuple[int, int, int], idle: list[tuple[tuple[int, int, int], netlink.Socket]]
) -> netlink.Socket | None:
    """An idle socket of this place; one of another namespace, or of before a fork, is closed."""
    while True:
        try:
            found, socket = idle.pop()
        except IndexError:
            return None
        if found == here:
            return socket
        socket.close()


def own_netns() -> tuple[int, int]:
    """The network namespace of the calling thread: device and inode."""
    return process_in_netns()[1:]
