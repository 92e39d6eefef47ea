"""Nothing in, a netlink socket of the host's namespace out: one that waits for its next use in a warm process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.link.netns import process_in_netns

__all__ = ["host_socket", "own_netns", "process_in_netns"]

_KEPT = 32
_idle: dict[int, list[tuple[tuple[int, int, int], netlink.Socket]]] = {netlink.ROUTE: [], netlink.NETFILTER: []}


@contextmanager
def host_socket(protocol: int = netlink.ROUTE) -> Iterator[netlink.Socket]:
    """A socket of the calling thread's namespace, nobody else's meanwhile; after an error it is closed.

    To close one of netfilter's takes 10 to 16 ms after a deletion from nftables, whoever deleted.
    """
    here, idle = process_in_netns(), _idle[protocol]
    socket = _taken(here, idle) or netlink.Socket(protocol)
    try:
        yield socket
    except BaseException:
        socket.close()  # an answer may be left in it
        raise
    if len(idle) < _KEPT:
        idle.append((here, socket))
    else:
        socket.close()


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
