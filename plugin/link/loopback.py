"""The path of a network namespace in, its loopback interface up, out: what a runtime owes its containers."""

from __future__ import annotations

import fcntl
import socket
import struct

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link.netns import open_netns, run_in

_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
_FORM = "16sh14x"
"""struct ifreq: a name, and flags."""


def bring_up(netns: str) -> None:
    """Nothing where it is up. CniError as open_netns() has it, or 104 where the kernel refuses."""
    with open_netns(netns) as opened:
        try:
            run_in(opened, _up)
        except OSError as e:
            raise CniError(Code.LINK, f"lo of {netns} can't be brought up: {e.strerror}") from e


def _up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        _, flags = struct.unpack(_FORM, fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack(_FORM, b"lo", 0)))
        if not flags & _UP:
            fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack(_FORM, b"lo", flags | _UP))
