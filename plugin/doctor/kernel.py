"""A host's kernel and libraries in; what an attach would miss there, out. It is tried in a namespace of its own."""

from __future__ import annotations

from calico_rkt.plugin.doctor.finding import ERROR, WARNING, Check, Finding
from calico_rkt.plugin.doctor.host import Host
from calico_rkt.plugin.enforce.nft import base, scratch
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.link import state
from calico_rkt.plugin.link.sockets import host_socket

_RA = 9
"""What made a route: RTPROTO_RA of linux/rtnetlink.h."""


def library(host: Host) -> Check:
    """libnftables, and whether nftables may be asked."""
    problem = host.nft_problem
    if problem is None:
        yield "libnftables talks to the kernel"
        return
    follows = "nothing can be attached: policy could not be put in force"
    if problem.msg.startswith("libnftables.so"):
        yield Finding("CR925", ERROR, problem.msg.partition(":")[0], follows, "apt-get install -y libnftables1")
    else:
        words = f"nftables can't be asked: {problem.msg}"
        yield Finding("CR924", ERROR, words, follows, "id -u; capsh --print; modprobe nf_tables", advice=False)


def features(host: Host) -> Check:
    """Our table and a pair of links, made where nobody sees them."""
    if host.nft_problem is not None:
        return
    try:
        scratch.made_of(base.base_script())
        scratch.apart(_pair)
    except (CniError, OSError) as e:
        words = f"{e.msg} {e.details}" if isinstance(e, CniError) else f"no pair of links can be made: {e.strerror}"
        cure = "modprobe -a nf_tables nft_chain_nat nft_ct nft_fib_inet nf_conntrack veth"
        yield Finding("CR924", ERROR, f"this kernel lacks something: {words}", "nothing can be attached", cure)
    else:
        yield "the kernel takes our table (inet, nat, sets, conntrack) and pairs of links"


def _pair() -> None:
    from pyroute2.iproute.linux import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as kernel:
            kernel.link("add", ifname="a", kind="veth", peer={"ifname": "b"})
    except NetlinkError as e:
        raise OSError(e.code, str(e)) from e


def uplinks(host: Host) -> Check:
    """The interfaces of default routes: whether what comes in there is forwarded, and the route stays."""
    if not host.endpoints:
        return
    versions = {a.version for e in host.endpoints for a in e.addresses}
    with host_socket() as socket:
        names = {link.index: link.name for link in state.interfaces(socket)}
        routes = [
            (route.destination.version, names.get(route.index, ""), route.protocol)
            for route in state.routes(socket)
            if not route.destination.prefixlen and route.unicast
        ]
    for version, name, protocol in dict.fromkeys(routes):
        if not name or version not in versions:
            continue
        if version == 4 and _sysctl(f"ipv4/conf/{name}/forwarding") == "0" and _sysctl("ipv4/ip_forward") == "1":
            path = f"/proc/sys/net/ipv4/conf/{name}/forwarding"
            follows = "answers from outside do not reach containers"
            message = f"{name}, which has the default route, does not forward IPv4"
            yield Finding("CR922", ERROR, message, follows, f"echo 1 >{path}", harmless=True)
        elif version == 6 and protocol == _RA and _sysctl(f"ipv6/conf/{name}/accept_ra") == "1":
            path = f"/proc/sys/net/ipv6/conf/{name}/accept_ra"
            message = (
                f"{name} has its IPv6 default route from router advertisements, and a forwarding host ignores them"
            )
            yield Finding("CR923", WARNING, message, "the route goes when it expires", f"echo 2 >{path}", harmless=True)
        else:
            yield f"{name} forwards IPv{version}"


def _sysctl(name: str) -> str:
    try:
        with open(f"/proc/sys/net/{name}", encoding="ascii") as file:  # noqa: PTH123 - an interface's name is any
            return file.read().strip()
    except OSError:
        return ""


def flows(_: Host) -> Check:
    """Room for flows in conntrack."""
    count, most = _sysctl("netfilter/nf_conntrack_count"), _sysctl("netfilter/nf_conntrack_max")
    if count.isdecimal() and most.isdecimal() and int(count) > 0.9 * int(most):
        message = f"conntrack is nearly full: {count} of {most} flows"
        cure = f"echo {int(most) * 2} >/proc/sys/net/netfilter/nf_conntrack_max"
        yield Finding("CR926", ERROR, message, "new flows are dropped, whatever policy says", cure)
    else:
        yield "conntrack has room"
