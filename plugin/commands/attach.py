"""`calico-rkt attach` in: a network namespace attached to a network with all plugins of its conf, and told, out."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.plugin.cni.request import no_ifname
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Key
from calico_rkt.plugin.process import signals
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.runtime.attachments import attach
from calico_rkt.plugin.runtime.namespaces import namespace
from calico_rkt.plugin.runtime.networks import chain_of_network
from calico_rkt.plugin.runtime.wishes import Wishes, mac_address, port

_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*\Z")

EPILOG = """NETNS is one of
  /run/netns/c1, ./c1, /proc/4711/ns/net     a path: it has a slash
  c1                                         a name of `ip netns`
  4711                                       the pid of a process in it

Without --id the container is called netns-NAME, pid-PID or path-..., by NETNS alone, so that detach finds it.
All plugins of the network's conf are run, found in CNI_PATH or, without it, in /usr/lib/cni, /opt/cni/bin and the
other usual folders. A second time says that it is attached, and changes nothing.

examples:
  ip netns add c1; calico-rkt attach web c1; systemd-nspawn --network-namespace-path=/run/netns/c1 ...
  calico-rkt attach web $(docker inspect -f '{{.State.Pid}}' c1) --id c1
  calico-rkt attach web c1 --port 8080:80 --port 5353:53/udp --ip 10.1.0.9
  calico-rkt attach back c1 --ifname eth1

exit status: 0 it is attached, 2 it is not"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is attached, to what, and how."""
    add_key(parser)
    options.add_confs(parser)
    parser.add_argument(
        "--ip",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="this address, again: one of the other family (default: the next that is free)",
    )
    parser.add_argument("--mac", default="", metavar="MAC", help="this MAC at the container's end, in any notation")
    parser.add_argument(
        "--port",
        action="append",
        default=[],
        metavar="[ADDRESS:]HOST:CONTAINER[/PROTOCOL]",
        help="publish a port of the container (a plugin such as portmap has to be in the network's list)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")


def add_key(parser: argparse.ArgumentParser, *, netns_needed: bool = True) -> None:
    """NETWORK, NETNS, --id and --ifname, as attach and detach have them."""
    parser.add_argument("network", metavar="NETWORK", help="the name of a network, as its conf has it")
    parser.add_argument(
        "netns", metavar="NETNS", nargs=None if netns_needed else "?", help="a path, a name of `ip netns`, or a pid"
    )
    parser.add_argument("--id", metavar="ID", help="the container's id (default: by NETNS)")
    parser.add_argument("--ifname", default="eth0", metavar="NAME", help="the interface inside (default: eth0)")


def key_of(args: argparse.Namespace, usual: str) -> Key:
    """What the arguments call the attachment; CniError 4 for an id or interface that no container can have."""
    container = usual if args.id is None else args.id
    if not _ID.match(container):
        hint = "letters, digits, '_', '.' and '-', beginning with a letter or digit"
        raise CniError(Code.INVALID_ENVIRONMENT, f"--id {container!r} is no id of a container", hint)
    if why := no_ifname(args.ifname):
        raise CniError(Code.INVALID_ENVIRONMENT, f"--ifname {why}", "such as eth1")
    return Key(args.network, container, args.ifname)


def run(args: argparse.Namespace) -> int:
    """Attach, and print the result; 0. CniError where it is not attached, CompileError for a conf that nobody takes."""
    open_log("info")
    place = namespace(args.netns)
    key = key_of(args, place.id)
    wishes = Wishes(tuple(map(_ip, args.ip)), mac_address(args.mac) if args.mac else "", tuple(map(port, args.port)))
    chain = chain_of_network(args.network, args.confs or ())
    signals.listen()
    done = attach(chain, key, place.path, wishes)
    if args.format == "json":
        shown = {"network": key.network, "container": key.container, "ifname": key.ifname, "netns": place.path}
        print(document("attach", {**shown, "before": done.before, "result": done.result}), end="")
        return 0
    given = ", ".join(addresses(done.result)) or "no address"
    print(f"{key} is attached already: {given}" if done.before else f"attached {key}: {given}")
    for one in wishes.ports:
        print(f"published {one}")
    return 0


def addresses(result: Mapping[str, Any]) -> Sequence[str]:
    """The plain addresses in a CNI result of any version."""
    listed = result.get("ips")
    found = [ip.get("address", "") for ip in listed if isinstance(ip, dict)] if isinstance(listed, list) else []
    found += [part.get("ip", "") for part in (result.get("ip4"), result.get("ip6")) if isinstance(part, dict)]
    return [str(address).partition("/")[0] for address in found]


def _ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise CniError(Code.INVALID_ENVIRONMENT, f"--ip {text!r} is no IP address", "such as 10.1.0.9") from None
