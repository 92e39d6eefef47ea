"""Rule lists in; what a packet costs through them as lines and as maps, and what loading them costs, out."""

from __future__ import annotations

import random
import socket
import statistics
import subprocess
import time
from collections.abc import Sequence
from ipaddress import IPv6Network
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from calico_rkt.compiler.ir.model import Action, Icmp, Match, Network, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import has
from calico_rkt.compiler.targets.nftables import write
from calico_rkt.plugin.enforce.nft import libnftables, table
from calico_rkt.plugin.enforce.nft.elements import to_host_script
from tests.bench.workloads import hierarchical, rules
from tests.kernel.support import enforce_world as w
from tests.kernel.support.namespaces import Lab

RULES, PACKETS, ROUNDS, PORT = 10_000, 4_000, 9, 9999
ANY = Rule(Action.ALLOW)
DEFAULT = (Rule(Action.ALLOW, Match(source=Side(selector=has("web")))),)
BOUNDS = {"new": 1.5, "load": 0.5}


def mixed(count: int, seed: int = 3) -> tuple[Rule, ...]:
    """Nets and ports mostly; labels of ten networks, ICMP, negations, any protocol, both families, both actions."""
    r = random.Random(seed)
    plain = rules(hierarchical(count, seed))
    out = []
    for rule in plain:
        kind, port = r.random(), PortRange(low := r.randint(1, 60000), low + r.choice((0, 0, 10)))
        if kind < 0.05:
            match = Match(
                protocol=6, source=Side(selector=has(f"net{r.randint(0, 9)}")), destination=Side(ports=(port,))
            )
        elif kind < 0.08:
            match = Match(4, 1, icmp=Icmp(r.choice((8, 3, 13))), source=rule.match.source)
        elif kind < 0.10:
            match = Match(4, 17, source=Side(not_nets=rule.match.source.nets), destination=Side(ports=(port,)))
        elif kind < 0.13:
            match = Match(4, source=rule.match.source)
        elif kind < 0.30:
            net = IPv6Network((0x20010DB8 << 96 | r.getrandbits(32) << 64, 64))
            match = Match(6, 6, source=Side(nets=(net,)), destination=Side(ports=(port,)))
        else:
            match = rule.match
        out.append(Rule(rule.action, match))
    return tuple(out)


def main() -> int:
    """Print a line a list: what a packet that opens a flow takes, in nanoseconds, and loading it, in milliseconds."""
    lists = {"nets and ports": rules(hierarchical(RULES)), "a mix": mixed(RULES)}
    with TemporaryDirectory() as folder, Lab() as lab:
        burst = Path(folder) / "burst"
        subprocess.run(["cc", "-O2", "-o", burst, Path(__file__).with_name("burst.c")], check=True)
        world = _World(lab, burst)
        print(f"{'a packet through':<44} {'new ns':>8} {'to default':>10} {'load ms':>8} {'to lines':>8}")
        cases: dict[str, tuple[Rule, ...]] = {"the default profile": DEFAULT}
        for name, found in lists.items():
            cases |= {f"{RULES:,} rules, {name}, as {form}": (*found, *DEFAULT) for form in ("lines", "maps")}
        figures = world.measured(cases)
        base = figures["the default profile"][0]
        for name, (new, load) in figures.items():
            lines = figures[name.replace("maps", "lines")][1]
            ratio, loading = new / base, load / lines
            late = name.endswith("maps") and (ratio > BOUNDS["new"] or loading > BOUNDS["load"])
            said = f"{name:<44} {new:>8.0f} {ratio:>10.2f} {load:>8.0f} {loading:>8.2f}"
            print(f"{said}{'   MISSED' if late else ''}")
    return 0


class _World(w.World):
    """Two containers of a network, a socket in one of them that reads nothing."""

    def __init__(self, lab: Lab, burst: Path) -> None:
        super().__init__(lab)
        self.burst = burst
        with w.inside(lab.host):
            table.build_table([], {"web": _script(DEFAULT, as_maps=True)}, ())
        self.sender, self.receiver = self.joined("web"), self.joined("web")
        with w.inside(self.receiver.ns):
            self.silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.silent.bind(("", PORT))

    def measured(self, cases: dict[str, tuple[Rule, ...]]) -> dict[str, tuple[float, float]]:
        """Medians by case, taken in turn: a machine is not as busy all the time."""
        scripts = {name: _script(found, as_maps=not name.endswith("lines")) for name, found in cases.items()}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
        for _ in range(ROUNDS):
            for name, script in scripts.items():
                load = self._loaded(script)
                found[name].append((self._burst(), load))
        return {name: _medians(figures) for name, figures in found.items()}

    def _loaded(self, script: str) -> float:
        with w.inside(self.host):
            begun = time.perf_counter()
            libnftables.run_nft(script)
            return (time.perf_counter() - begun) * 1000

    def _burst(self) -> float:
        self.lab.run(self.host, ["conntrack", "-F"])
        ends = self.sender.address[4], self.receiver.address[4]
        command = [str(self.burst), *ends, str(PORT), str(PACKETS)]
        return float(self.lab.run(Path(self.sender.ns).name, command, check=True).stdout)


def _medians(figures: Sequence[tuple[float, float]]) -> tuple[float, float]:
    new, load = (statistics.median(column) for column in zip(*figures, strict=True))
    return new, load


def _script(found: tuple[Rule, ...], *, as_maps: bool) -> str:
    network = Network("web", "web", found, (ANY,))
    with patch.object(write, "FEW", write.FEW if as_maps else len(found)):
        return write.write_nftables(network) + to_host_script("web", network.endpoint_to_host)
