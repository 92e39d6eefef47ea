"""The demo's acts, inside its own namespaces: compile, attach, send packets, compare, clean up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from calico_rkt.compiler.ir.model import Icmp, Match, PortRange, Side
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.review.build import build_world
from calico_rkt.compiler.review.pair import Scene
from calico_rkt.compiler.review.parties import Kind, Party
from calico_rkt.compiler.review.snapshot import World
from calico_rkt.compiler.workspace.folder import open_folder

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "two-networks"
PLUGIN = ROOT / "dist" / "calico"
RUN, LIB = Path("/run/calico-rkt"), Path("/run/calico-rkt-lib")
PROBES = (("tcp", 8080), ("tcp", 9090), ("udp", 8080), ("icmp", 0))
NUMBERS = {"tcp": 6, "udp": 17}
NAMES = ("frontend", "web")


@dataclass(frozen=True, slots=True)
class Place:
    """Where packets start or end: a namespace (empty: the host), its addresses, and its network when it has one."""

    name: str
    netns: str
    addresses: tuple[str, ...]
    network: str = ""


def run(*argv: str, stdin: bytes | None = None, netns: str = "", env: dict[str, str] | None = None) -> str:
    """A command's stdout; ends the demo with its message when it fails."""
    prefix = ("ip", "netns", "exec", netns) if netns else ()
    done = subprocess.run([*prefix, *argv], input=stdin, capture_output=True, env=env, check=False)
    if done.returncode:
        sys.exit(f"demo: {' '.join(argv)}: {done.stderr.decode()}{done.stdout.decode()}")
    return done.stdout.decode()


def main() -> int:
    host_before()
    for name in NAMES:
        compile_example(name)
    world = build_world(open_folder(EXAMPLE, {}))
    places: list[Place] = []
    servers: list[subprocess.Popen[bytes]] = []
    try:
        places = [Place("host", "", ("203.0.113.1", "2001:db8::1")), outside()]
        places += [attach(network, f"{network}-{i}") for network in NAMES for i in (1, 2)]
        servers = [serve(p) for p in places]
        return compare(places, world)
    finally:
        for server in servers:
            server.communicate()
        for p in places:
            if p.network:
                cni("DEL", p.network, p.name)
        leftovers()


def host_before() -> None:
    for folder in ("/run", "/var/log"):
        run("mount", "-t", "tmpfs", "tmpfs", folder)
    run("ip", "link", "set", "lo", "up")


def compile_example(name: str) -> None:
    """Print what `compile-profile` prints for an example network."""
    print(f"\n$ compile-profile docs/examples/two-networks/{name}.conf", flush=True)
    print(run(str(ROOT / ".venv/bin/compile-profile"), str(EXAMPLE / f"{name}.conf")))


def outside() -> Place:
    """A namespace behind a link of the host: the world that no network owns."""
    run("ip", "netns", "add", "outside")
    run("ip", "link", "add", "name", "uplink", "type", "veth", "peer", "name", "eth0", "netns", "outside")
    for netns, dev, own in (("", "uplink", "1"), ("outside", "eth0", "2")):
        # Until its link-local address is known to be unique an interface may answer nobody, for a second or two.
        run("sh", "-c", f"echo 0 > /proc/sys/net/ipv6/conf/{dev}/accept_dad", netns=netns)
        run("ip", "addr", "add", f"203.0.113.{own}/24", "dev", dev, netns=netns)
        run("ip", "addr", "add", f"2001:db8::{own}/64", "dev", dev, "nodad", netns=netns)
        run("ip", "link", "set", dev, "up", netns=netns)
    run("ip", "route", "add", "default", "via", "203.0.113.1", netns="outside")
    run("ip", "-6", "route", "add", "default", "via", "2001:db8::1", netns="outside")
    for address in ("203.0.113.2", "2001:db8::2"):
        # What is asked while a link comes up may be lost, and is asked again a second later.
        run("ping", "-c", "1", "-W", "1", "-w", "10", address)
    return Place("outside", "outside", ("203.0.113.2", "2001:db8::2"))


def attach(network: str, name: str) -> Place:
    run("ip", "netns", "add", name)
    result = json.loads(cni("ADD", network, name))
    addresses = tuple(ip["address"].split("/")[0] for ip in result["ips"])
    print(f"attached {name}: {', '.join(addresses)}", flush=True)
    return Place(name, name, addresses, network)


def cni(command: str, network: str, container: str) -> str:
    conf = json.loads((EXAMPLE / f"{network}.conf").read_text())
    conf["profiles_dir"] = str(EXAMPLE / "profiles")
    env = {
        "PATH": os.environ["PATH"],
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": container,
        "CNI_NETNS": f"/run/netns/{container}",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": str(PLUGIN.parent),
        "CALICO_RKT_RUN_DIR": str(RUN),
        "CALICO_RKT_LIB_DIR": str(LIB),
    }
    return run(str(PLUGIN), stdin=json.dumps(conf).encode(), env=env)


def serve(place: Place) -> subprocess.Popen[bytes]:
    prefix = ["ip", "netns", "exec", place.netns] if place.netns else []
    server = subprocess.Popen(
        [*prefix, sys.executable, str(ROOT / "tests/demo/peer.py"), "serve", *place.addresses],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    if not server.stdout or server.stdout.readline() != b"ready\n":
        sys.exit(f"demo: no server in {place.name}")
    return server


def compare(places: list[Place], world: World) -> int:
    """Probe every pair, print expected against seen, and return 0 only when all cells agree."""
    print("\nWho reaches whom: what the review says, and what was seen on the wire (IPv4 and IPv6).")
    print("  + passes, . does not; review first, wire second\n")
    columns = [f"{what}/{port}" if port else what for what, port in PROBES]
    print(f"{'from':<12} {'to':<12} " + " ".join(f"{c:>10}" for c in columns))
    wrong = cells = 0
    for source in places:
        others = [p for p in places if p is not source]
        targets = [
            {"address": a, "port": port, "what": what} for p in others for what, port in PROBES for a in p.addresses
        ]
        seen = iter(
            json.loads(
                run(sys.executable, str(ROOT / "tests/demo/peer.py"), "probe",
                    stdin=json.dumps(targets).encode(), netns=source.netns)
            )
        )  # fmt: skip
        for target in others:
            row = []
            for what, port in PROBES:
                said = [expected(world, source, target, what, port, i) for i in range(len(target.addresses))]
                got = [next(seen) for _ in target.addresses]
                cells += len(said)
                wrong += sum(a != b for a, b in zip(said, got, strict=True))
                row.append(f"{mark(said)} {mark(got)}{' ' if said == got else '!'}")
            print(f"{source.name:<12} {target.name:<12} " + " ".join(f"{c:>10}" for c in row), flush=True)
    print(f"\n{cells - wrong} of {cells} cells agree.")
    return 1 if wrong else 0


def mark(verdicts: list[bool]) -> str:
    return "".join("+" if v else "." for v in verdicts)


def expected(world: World, source: Place, target: Place, what: str, port: int, family: int) -> bool:
    """What the review says of a packet, as `calico-rkt explain` does: both ends' profiles."""
    view = world.view(party(world, source), party(world, target))
    if view is None:
        return True  # the host and the outside: no policy decides
    version6 = ":" in target.addresses[family]
    number = NUMBERS.get(what) or (58 if version6 else 1)
    icmp = Icmp(128 if version6 else 8, 0) if what == "icmp" else None
    ports = (PortRange(port, port),) if port else ()
    nets = [(ip_network(p.addresses[family]),) for p in (source, target)]
    match = Match(protocol=number, icmp=icmp, source=Side(nets=nets[0]), destination=Side(nets=nets[1], ports=ports))
    scene = Scene([view], world.own, world.known, [match])
    boxes = scene.within(0, [match], (), Budget())
    (allowed,) = {fate.allowed for box in boxes for _, fate in scene.fates(0, box, Budget())}
    return allowed is not False  # what is left to the host passes here: its firewall is empty


def party(world: World, place: Place) -> Party:
    kind = Kind.NETWORK if place.network else Kind.HOST if place.name == "host" else Kind.OUTSIDE
    found = world.party(kind, place.network)
    if found is None:
        sys.exit(f"demo: nobody is {place.name}")
    return found


def leftovers() -> None:
    links = run("ip", "-o", "link", "show", "type", "veth")
    if "crk" in links:
        sys.exit(f"demo: links were left behind:\n{links}")
