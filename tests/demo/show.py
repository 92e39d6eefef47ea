"""The demo's acts, inside its own namespaces: compile, attach, send packets, compare, clean up."""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from calico_rkt.compiler.evaluate import End, Packet, evaluate
from calico_rkt.compiler.ir import Icmp, Network, ToHost
from calico_rkt.compiler.targets.calico_v3_read import read_network

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
    networks = {name: compile_example(name) for name in NAMES}
    places: list[Place] = []
    servers: list[subprocess.Popen[bytes]] = []
    try:
        places = [Place("host", "", ("203.0.113.1", "2001:db8::1")), outside()]
        places += [attach(network, f"{network}-{i}") for network in NAMES for i in (1, 2)]
        servers = [serve(p) for p in places]
        return compare(places, networks)
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


def compile_example(name: str) -> Network:
    """Print what `compile-profile` prints for an example network, and read it back."""
    print(f"\n$ compile-profile docs/examples/two-networks/{name}.conf", flush=True)
    text = run(str(ROOT / ".venv/bin/compile-profile"), str(EXAMPLE / f"{name}.conf"))
    print(text)
    return read_network(text)


def outside() -> Place:
    """A namespace behind a link of the host: the world that no network owns."""
    run("ip", "netns", "add", "outside")
    run("ip", "link", "add", "name", "uplink", "type", "veth", "peer", "name", "eth0", "netns", "outside")
    for netns, dev, own in (("", "uplink", "1"), ("outside", "eth0", "2")):
        run("ip", "addr", "add", f"203.0.113.{own}/24", "dev", dev, netns=netns)
        run("ip", "addr", "add", f"2001:db8::{own}/64", "dev", dev, "nodad", netns=netns)
        run("ip", "link", "set", dev, "up", netns=netns)
    run("ip", "route", "add", "default", "via", "203.0.113.1", netns="outside")
    run("ip", "-6", "route", "add", "default", "via", "2001:db8::1", netns="outside")
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


def compare(places: list[Place], networks: dict[str, Network]) -> int:
    """Probe every pair, print expected against seen, and return 0 only when all cells agree."""
    print("\nWho reaches whom: what the profiles say, and what was seen on the wire (IPv4 and IPv6).")
    print("  + passes, . does not; profiles first, wire second\n")
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
                said = [expected(networks, source, target, what, port, i) for i in range(len(target.addresses))]
                got = [next(seen) for _ in target.addresses]
                cells += len(said)
                wrong += sum(a != b for a, b in zip(said, got, strict=True))
                row.append(f"{mark(said)} {mark(got)}{' ' if said == got else '!'}")
            print(f"{source.name:<12} {target.name:<12} " + " ".join(f"{c:>10}" for c in row), flush=True)
    print(f"\n{cells - wrong} of {cells} cells agree.")
    return 1 if wrong else 0


def mark(verdicts: list[bool]) -> str:
    return "".join("+" if v else "." for v in verdicts)


def expected(networks: dict[str, Network], source: Place, target: Place, what: str, port: int, family: int) -> bool:
    """What the two profiles say of a packet: egress of its source and ingress of its destination, both."""
    version6 = ":" in target.addresses[family]
    number = NUMBERS.get(what) or (58 if version6 else 1)
    icmp = Icmp(128 if version6 else 8, 0) if what == "icmp" else None
    packet = Packet(
        end(networks, source, family, 40000 if port else 0), end(networks, target, family, port), number, icmp
    )
    if source.network and not evaluate(networks[source.network].egress, packet).allowed:
        return False
    if source.network and target.name == "host":
        return networks[source.network].endpoint_to_host is not ToHost.DROP
    if target.network and source.name != "host":
        return evaluate(networks[target.network].ingress, packet).allowed
    return True


def end(networks: dict[str, Network], place: Place, family: int, port: int) -> End:
    labels = {networks[place.network].id: ""} if place.network else None
    return End(ipaddress.ip_address(place.addresses[family]), labels, port)


def leftovers() -> None:
    links = run("ip", "-o", "link", "show", "type", "veth")
    if "crk" in links:
        sys.exit(f"demo: links were left behind:\n{links}")
