"""The host end's name in, the host's sysctls as routing to containers needs them out."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Sequence

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link.netns import process_in_netns

log = logging.getLogger(__name__)

_NOW_A_ROUTER = (
    "this host forwards %s from now on, also between its other networks, since containers need it (%s=1); "
    "what may pass there is for a firewall of its own to say"
)
_LOOSE = (
    "net.ipv4.conf.all.rp_filter=2 weakens that of host ends: the host remembers a neighbour for each IPv4 address "
    "that a container asks with; 0 or 1 there, and what each interface needs in its own, keeps them few"
)
_SYSCTLS = "/proc/sys/"
_NET = _SYSCTLS + "net"
_FORWARDING = {4: "ipv4/ip_forward", 6: "ipv6/conf/all/forwarding"}
"""By IP version, whether the host passes packets on."""
_HOST_ENDS = ("crk", "cali")


def enable(host_ifname: str, versions: Collection[int]) -> None:
    """Turn forwarding on for the IP versions in use, and let the host end learn nothing from its container.

    A host end that needs no IPv6 has none, where that can be. Called while the host end is down; the sysctls of its
    IPv4, and that it has no IPv6 address of its own accord, are set as it comes up. Nothing else is turned on: no proxy
    ARP, no route_localnet, and no other interface's rp_filter is touched. A sysctl that is right already is not
    written, so a read-only /proc/sys may do.
    """
    own6 = f"{_NET}/ipv6/conf/{host_ifname}"
    ipv6 = 6 in versions and os.access(own6, os.F_OK)
    if ipv6:
        # No routes out of a container's adverts: a host end that forwards takes none anyway but with 2.
        _write(f"{own6}/accept_ra", "0", needed=_read(f"{own6}/accept_ra") == "2")
    elif 6 not in versions:
        # The kernel keeps a multicast route for each interface with IPv6, and walks through all to add another.
        _write(f"{own6}/disable_ipv6", "1", needed=False)
    if 4 in versions and not _forwards_ipv4():
        _write(f"{_NET}/ipv4/ip_forward", "1")
        log.warning(_NOW_A_ROUTER, "IPv4", "net.ipv4.ip_forward")
    if 6 in versions:
        if not ipv6:
            raise CniError(Code.LINK, "this host has no IPv6, but the network asks for an IPv6 address")
        _write(f"{own6}/disable_ipv6", "0")
        _forward_ipv6()
        _write(f"{own6}/forwarding", "1")


def enable_ipv6_inside(ifname: str) -> None:
    """Let an interface of the calling thread's namespace have IPv6 addresses, whatever the default there."""
    inside = f"{_NET}/ipv6/conf/{ifname}/disable_ipv6"
    if not os.access(inside, os.F_OK):
        raise CniError(Code.LINK, "this host has no IPv6, but the network asks for an IPv6 address")
    _write(inside, "0")
    # Whoever changes the MAC later tells the host's end, as IPv4's arp_notify does.
    _write(f"{_NET}/ipv6/conf/{ifname}/ndisc_notify", "1", needed=False)


def is_enabled(versions: Collection[int]) -> bool:
    """Whether the host forwards every IP version in use."""
    return all(_read(f"{_NET}/{_FORWARDING[v]}") == "1" for v in versions)


def host_problems() -> dict[int, tuple[str, ...]]:
    """By IP version the sysctls of the host that are not as enable() left them, in words."""
    return {v: _off([name]) for v, name in _FORWARDING.items()}


def problems(host_ifname: str, versions: Collection[int]) -> tuple[str, ...]:
    """The sysctls of a host end that are not as enable() and its link's making left them, in words."""
    off = _off([f"ipv{v}/conf/{host_ifname}/forwarding" for v in (4, 6) if v in versions])
    strict = _read(f"{_NET}/ipv4/conf/{host_ifname}/rp_filter") if 4 in versions else "1"
    loose = [] if strict in ("1", "") else [f"net/ipv4/conf/{host_ifname}/rp_filter is {strict}, not 1"]
    return (*off, *loose)


def forwards_ipv4(ifname: str) -> bool:
    """Whether the host passes on IPv4 that comes by an interface."""
    return not _off([f"ipv4/conf/{ifname}/forwarding"])


def _off(names: Sequence[str]) -> tuple[str, ...]:
    """Those of these sysctls that are there and off, in words."""
    return tuple(f"net/{name} is off" for name in names if _read(f"{_NET}/{name}") not in ("1", ""))


def warnings() -> tuple[str, ...]:
    """What the host's own settings take away from what host ends promise, in words."""
    return (_LOOSE,) if _read(f"{_NET}/ipv4/conf/all/rp_filter") == "2" else ()


_ip_forward: dict[tuple[int, int, int], int] = {}
"""Where it is asked, the open file: it says how that namespace stands whenever it is read."""


def _forwards_ipv4() -> bool:
    here = process_in_netns()
    try:
        fd = _ip_forward.get(here)
        if fd is None:
            mine = os.open(f"{_NET}/ipv4/ip_forward", os.O_RDONLY | os.O_CLOEXEC)
            fd = _ip_forward.setdefault(here, mine)
            if fd != mine:
                os.close(mine)
            for other in [place for place in _ip_forward if place != here]:
                os.close(_ip_forward.pop(other))
        return os.pread(fd, 64, 0).strip() == b"1"
    except OSError:
        return False


def _forward_ipv6() -> None:
    """A forwarding host ignores router advertisements where accept_ra is 1 and drops what it learnt from them.

    (Kernel: Documentation/networking/ip-sysctl.rst, accept_ra.) With 2 it goes on listening.
    """
    everything = f"{_NET}/ipv6/conf/all/forwarding"
    if _read(everything) == "1":
        return
    for interface in sorted(e.name for e in os.scandir(f"{_NET}/ipv6/conf")):
        accept_ra = f"{_NET}/ipv6/conf/{interface}/accept_ra"
        if interface not in ("all", "default") and _read(accept_ra) == "1":
            log.info("accept_ra of %s becomes 2: it would lose its routes when forwarding is on", interface)
            _write(accept_ra, "2")
    _write(everything, "1")
    log.warning(_NOW_A_ROUTER, "IPv6", "net.ipv6.conf.all.forwarding")


# Bare descriptors and strings: files of Python's and its paths take longer than the kernel's share, at every attach.
def _read(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 64).decode().strip()
    except OSError:
        return ""
    finally:
        os.close(fd)


def _write(path: str, value: str, *, needed: bool = True) -> None:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if not needed or os.read(fd, 64).decode().strip() != value:
                os.pwrite(fd, value.encode(), 0)
        finally:
            os.close(fd)
    except FileNotFoundError:
        # The interface has gone, or this kernel has no such knob; what depends on it fails by itself.
        log.debug("%s is not there", path)
    except OSError as e:
        if _read(path) == value:
            return
        if not needed:
            log.info("%s stays as it is: %s", path, e.strerror)
            return
        raise CniError(
            Code.LINK,
            f"{path} can't be set to {value}: {e.strerror}",
            f"set it by hand: sysctl -w {_name(path)}={value}",
        ) from e


def _name(path: str) -> str:
    """The sysctl's name; a dot inside of an interface's name is written as a slash, as sysctl(8) has it.

    A host end is made anew with each attempt, so for one it is `default`'s, which the next one begins with.
    """
    parts = path.removeprefix(_SYSCTLS).split("/")
    parts = ["default" if part.startswith(_HOST_ENDS) else part for part in parts]
    return ".".join(part.replace(".", "/") for part in parts)
