"""Rule lists in; what a packet costs through them as lines and as maps, and what loading them costs, out."""

from __future__ import annotations

import json
import random
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Sequence
from ipaddress import IPv6Network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest.mock import patch

from calico_rkt.compiler.ir.model import Action, Icmp, Match, Network, PortRange, Rule, Side
from calico_rkt.compiler.ir.selector import has
from calico_rkt.compiler.targets.nftables import write
from calico_rkt.plugin.enforce.nft import libnftables, table
from calico_rkt.plugin.enforce.nft.elements import to_host_script
from tests.bench.report import Report, Row
from tests.bench.workloads import hierarchical, rules
from tests.kernel.support import enforce_world as w
from tests.kernel.support.namespaces import Lab

RULES, PACKETS, CONNECTIONS, ROUNDS, PORT = 10_000, 4_000, 1_000, 9, 9999
THROUGHPUTS = 15
_FREED = 0.2
"""Seconds in which the kernel frees, beside other work, what the rules of before held."""
ANY = Rule(Action.ALLOW)
DEFAULT = (Rule(Action.ALLOW, Match(source=Side(selector=has("web")))),)


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


_OF_LOADING = """\
half are 7,100 pairs of a net and a port, 10 us each in IPv4 and 18 in IPv6, near what the kernel's set takes; the \
rest chains by ports, 29 us a line. decisions/109 has what was tried."""


def rows(report: Report) -> None:
    lists = {"nets and ports": rules(hierarchical(RULES)), "a mix": mixed(RULES)}
    with TemporaryDirectory() as folder, Lab() as lab:
        world = _World(lab, Path(folder))
        default, *cases = world.measured(
            [(DEFAULT, True), *(((*found, *DEFAULT), as_maps) for found in lists.values() for as_maps in (False, True))]
        )
        for name, lines, maps in zip(lists, cases[::2], cases[1::2], strict=True):
            here = f"{RULES:,} rules, {name}"
            report.say(
                Row(f"a new packet through {here} / the default profile", maps.packet, default.packet, 1.5, "ns")
            )
            report.say(Row(f"opening TCP through {here} / the default profile", maps.tcp, default.tcp, 1.4, "ns"))
            report.say(Row(f"loading {here} / the same as lines", maps.load, lines.load, 0.5, made_of=_OF_LOADING))
            report.say(Row(f"a new packet through {here} / the same as lines", maps.packet, lines.packet, 1.0, "ns"))
        if shutil.which("iperf3"):
            ours, none = world.throughput(_script(DEFAULT, as_maps=True))
            what = "iperf3 through the default profile / through no policy"
            report.say(Row(what, ours, none, 0.88, "Gbit/s", at_least=True))
        else:
            report.lacks("iperf3 is not installed")


class Figures(NamedTuple):
    """Nanoseconds of a packet that opens a flow and of a connect(); milliseconds of loading the rules."""

    packet: float
    tcp: float
    load: float


class _World(w.World):
    """Two containers of a network, a socket in one of them that reads nothing."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        super().__init__(lab)
        self.programs = folder
        for name in ("burst", "opening"):
            source = Path(__file__).parent / "programs" / f"{name}.c"
            subprocess.run(["cc", "-O2", "-o", folder / name, source], check=True)
        with w.inside(lab.host):
            table.build_table([], {"web": _script(DEFAULT, as_maps=True)}, ())
        self.sender, self.receiver = self.joined("web"), self.joined("web")
        with w.inside(self.receiver.ns):
            self.silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.silent.bind(("", PORT))

    def measured(self, cases: Sequence[tuple[tuple[Rule, ...], bool]]) -> list[Figures]:
        """Medians by case, taken in turn: a machine is not as busy all the time."""
        scripts = [_script(found, as_maps=as_maps) for found, as_maps in cases]
        found: list[list[Figures]] = [[] for _ in cases]
        for _ in range(ROUNDS):
            for figures, script in zip(found, scripts, strict=True):
                load = self._loaded(script)
                figures.append(Figures(self._burst(), self._opened(), load))
        return [Figures(*map(statistics.median, zip(*figures, strict=True))) for figures in found]

    def _loaded(self, script: str) -> float:
        """From the default profile on, each list: to take away the one before, at once or later, is not loading it."""
        with w.inside(self.host):
            libnftables.run_nft(_script(DEFAULT, as_maps=True))
            time.sleep(_FREED)
            begun = time.perf_counter()
            libnftables.run_nft(script)
            return (time.perf_counter() - begun) * 1000

    def _burst(self) -> float:
        self.lab.run(self.host, ["conntrack", "-F"])
        ends = self.sender.address[4], self.receiver.address[4]
        return self._from_sender("burst", *ends, str(PORT), str(PACKETS))

    def _opened(self) -> float:
        self.lab.run(self.host, ["conntrack", "-F"])
        server = f"/run/netns/{Path(self.receiver.ns).name}"
        return self._from_sender("opening", server, self.receiver.address[4], str(PORT), str(CONNECTIONS))

    def _from_sender(self, program: str, *argv: str) -> float:
        command = [str(self.programs / program), *argv]
        return float(self.lab.run(Path(self.sender.ns).name, command, check=True).stdout)

    def throughput(self, script: str) -> tuple[float, float]:
        """Medians in Gbit/s between the two: through this policy, and with nothing of nftables at all."""
        figures: dict[str, list[float]] = {script: [], "flush ruleset\n": []}
        server = ["iperf3", "--server", "--one-off", "--port", str(PORT + 1)]
        client = ["iperf3", "--json", "--time", "2", "--port", str(PORT + 1), "--client", self.receiver.address[4]]
        for _ in range(THROUGHPUTS):
            for policy, found in figures.items():
                with w.inside(self.host):
                    libnftables.run_nft("flush ruleset\n")
                    if policy == script:
                        table.build_table(
                            [e.elements("web") for e in (self.sender, self.receiver)], {"web": script}, ()
                        )
                with w.inside(self.receiver.ns):
                    process = subprocess.Popen(server, stdout=subprocess.DEVNULL)
                try:
                    self._until_listening()
                    said = self.lab.run(Path(self.sender.ns).name, client, check=True).stdout
                    found.append(json.loads(said)["end"]["sum_received"]["bits_per_second"] / 1e9)
                finally:
                    process.kill()
                    process.wait()
        ours, none = (statistics.median(found) for found in figures.values())
        return ours, none

    def _until_listening(self) -> None:
        for _ in range(200):
            if f":{PORT + 1} " in self.lab.run(Path(self.receiver.ns).name, ["ss", "-ltnH"]).stdout:
                return
            time.sleep(0.01)
        raise SystemExit("bench: iperf3 does not listen")


def _script(found: tuple[Rule, ...], *, as_maps: bool) -> str:
    network = Network("web", "web", found, (ANY,))
    with patch.object(write, "FEW", write.FEW if as_maps else len(found)):
        return write.write_nftables(network) + to_host_script("web", network.endpoint_to_host)
