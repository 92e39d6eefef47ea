"""Calls with no agent, each a process of its own, and compile-profile: beside a start of Python with its packages."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.host import OURS, PEER, ROOT, call, conf, netns, wall
from tests.bench.report import Fact, Report, Row
from tests.bench.timing import ROUNDS, fill, medians
from tests.bench.workloads import hierarchical, override

LEASES = 10_000
FIRST_ADD = 2.0


def rows(report: Report) -> None:
    version = {"CNI_COMMAND": "VERSION"}
    ours, peer = medians([lambda _: wall(str(OURS), env=version), lambda _: wall(str(PEER), env=version)])
    report.say(Row("VERSION / ptp's", ours, peer, 0.5))
    net = str(ROOT / "docs/examples/two-networks/web.conf")
    ours, peer = medians(
        [
            lambda _: wall(str(OURS), "compile", net),
            lambda _: wall(sys.executable, "-c", "import jinja2, yaml"),
        ]
    )
    report.say(Row("compile-profile / import jinja2, yaml", ours, peer, 1.4))
    _beside_an_import(report, "alone", "", (0.5, 0.5))
    netns("add", ["first"])
    call(OURS, "ADD", conf("calico", "full", "10.92.0.0/16"), "first")
    fill("full", "10.92.0.0/16", LEASES)
    _beside_an_import(report, "full", f" at {LEASES:,} leases", (0.7, 0.7))
    report.say(_first_of_many_rules())


def _beside_an_import(report: Report, network: str, where: str, bounds: tuple[float, float]) -> None:
    mine = conf("calico", network, {"alone": "10.91.0.0/16", "full": "10.92.0.0/16"}[network])
    names = [f"{network}{i}" for i in range(ROUNDS + 1)]
    netns("add", names)
    add, peer, delete = medians(
        [
            lambda i: call(OURS, "ADD", mine, names[i]),
            lambda _: wall(sys.executable, "-c", "import pyroute2"),
            lambda i: call(OURS, "DEL", mine, names[i]),
        ]
    )
    report.say(Row(f"one-shot ADD{where} / import pyroute2", add, peer, bounds[0]))
    report.say(Row(f"one-shot DEL{where} / import pyroute2", delete, peer, bounds[1]))
    netns("del", names)


def _first_of_many_rules() -> Fact:
    """A first ADD compiles, proves and publishes its network: nobody has done it before."""
    figures = []
    with TemporaryDirectory() as folder:
        for n in range(3):
            name = f"long{n}"
            text = override(hierarchical(1000), name)
            Path(folder, f"{name}.yaml").write_text(text)
            netns("add", [name])
            net = conf("calico", name, f"10.{93 + n}.0.0/16", profiles_dir=folder)
            figures.append(call(OURS, "ADD", net, name))
            call(OURS, "DEL", net, name)
            netns("del", [name])
    return Fact("first ADD of a network of 1,000 rules", statistics.median(figures), FIRST_ADD)
