"""The review's figures, beside aerleon in the same run where it has something to compare with."""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from resource import struct_rusage
from tempfile import TemporaryDirectory

from calico_rkt.compiler.ir.model import Network
from tests.bench.report import Fact, Report, Row
from tests.bench.workloads import Line, adversarial, aerleon, dead, hierarchical, override, scattered
from tests.bench.workloads import rules as rules_of
from tests.findings import lint

ROOT = Path(__file__).resolve().parent.parent.parent
PEER = ROOT / "build" / "aerleon"
AERLEON = "aerleon==1.18.0"
ROUNDS = 5
CONF = '{{"cniVersion": "1.0.0", "name": "{}", "type": "calico", "ipam": {{"type": "host-local", "subnet": "{}"}}}}\n'
WORKLOADS: dict[str, Callable[[int], list[Line]]] = {"hierarchical": hierarchical, "scattered": scattered}
FILES = frozenset({"bench.yaml"})
READ = "import sys, yaml; yaml.load(open(sys.argv[1], 'rb'), yaml.CSafeLoader)"


def rows(report: Report) -> None:
    peer = _peer(report)
    with TemporaryDirectory() as folder:
        for name, make in WORKLOADS.items():
            _check(report, Path(folder) / name, name, make(10_000))
        _growth(report)
        if peer:
            _against_aerleon(report, peer, Path(folder))
        _matrix(report, Path(folder) / "matrix")
        _diff_many(report, Path(folder) / "many")
        _diff_long(report, Path(folder) / "long")
        _adversarial(report, Path(folder) / "adversarial")


def _peer(report: Report) -> Path | None:
    """aerleon's own interpreter, in a folder of its own; None, and words, where it can't be had."""
    python = PEER / "bin" / "python"
    if not python.exists():
        shutil.rmtree(PEER, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
        if subprocess.run([PEER / "bin" / "pip", "install", "-q", AERLEON], check=False).returncode:
            shutil.rmtree(PEER, ignore_errors=True)
            report.lacks(f"{AERLEON} can't be installed, so nothing is compared with it")
            return None
    return python


def _check(report: Report, folder: Path, name: str, lines: Sequence[Line]) -> None:
    """check as a whole process; what it says is compared with a count that shares nothing with it."""
    workspace(folder, {"bench": ("10.99.0.0/16", override(lines))})
    command = [ours(), "check", "-C", str(folder), "--select", "CR801", "--format", "json"]
    read = [sys.executable, "-c", READ, str(folder / "profiles" / "bench.yaml")]
    pairs = [(timed(command), timed(read)) for _ in range(ROUNDS)]
    said = {d["line"] - 3 for d in json.loads(pairs[0][0].output)["findings"] if d["code"] == "CR801"}
    if said != (truth := dead(lines)):
        sys.exit(f"bench: check missed {len(truth - said)} dead rules, and invented {len(said - truth)}")
    mine, theirs = (statistics.median(run.processor for run in column) for column in zip(*pairs, strict=True))
    what = f"check 10,000 rules, {name}, processor / yaml's CSafeLoader reading the file"
    report.say(Row(what, mine, theirs, 1.6, "s"))
    report.say(Fact("... its memory", statistics.median(run.megabytes for run, _ in pairs), None, "MB"))


def _growth(report: Report) -> None:
    for name, make in WORKLOADS.items():
        took = {n: statistics.median(_lint(rules_of(make(n))) for _ in range(ROUNDS)) for n in (1000, 10_000)}
        exponent = math.log(took[10_000] / took[1000]) / math.log(10)
        report.say(Fact(f"what never matches, 10,000 rules, {name}, the analysis alone", took[10_000], None))
        report.say(Fact("... grows from 1,000 rules on with exponent", exponent, 1.4, ""))


def _lint(given: tuple[object, ...]) -> float:
    network = Network("bench", "bench", ingress=given)  # type: ignore[arg-type]
    begin = time.perf_counter()
    for _ in lint(network, frozenset({"bench"}), FILES):
        pass
    return time.perf_counter() - begin


def _against_aerleon(report: Report, peer: Path, folder: Path) -> None:
    lines = hierarchical(3000)
    script = str(ROOT / "tests" / "bench" / "aerleon_peer.py")
    theirs = float(timed([str(peer), script, str(_files(folder / "shade", aerleon(lines)))]).output)
    mine = statistics.median(_lint(rules_of(lines)) for _ in range(ROUNDS))
    report.say(Row("what never matches, 3,000 rules / aerleon's shade check (once)", mine, theirs, 0.05, "s"))
    lines = hierarchical(10_000)
    workspace(folder / "compile", {"bench": ("10.99.0.0/16", override(lines))})
    command = [ours(), "compile", str(folder / "compile/bench.conf"), "--target", "nftables"]
    files = _files(folder / "aerleon", aerleon(lines))
    theirs_command = [str(peer.parent / "aclgen"), "--policy_file", str(files / "policies/bench.yaml")]
    theirs_command += [
        "--base_directory",
        str(files / "policies"),
        "--definitions_directory",
        str(files / "definitions"),
    ]
    theirs_command += ["--output_directory", str(files), "--max_renderers", "1"]
    pairs = [(timed(command), timed(theirs_command)) for _ in range(ROUNDS)]
    if not any(files.glob("*.nft")):
        sys.exit("bench: aerleon wrote nothing")
    one, other = (statistics.median(run.seconds for run in column) for column in zip(*pairs, strict=True))
    report.say(Row("compile 10,000 rules to nftables, proof included / aerleon 1.18's aclgen", one, other, 0.35, "s"))


def _files(folder: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def _matrix(report: Report, folder: Path) -> None:
    lines = scattered(200 * 50)
    texts = {f"net{n}": (f"10.{n}.0.0/16", override(lines[n * 50 : n * 50 + 50], f"net{n}")) for n in range(200)}
    workspace(folder / "many", texts)
    workspace(folder / "long", {"bench": ("10.99.0.0/16", override(hierarchical(10_000)))})
    for name, what, most in (
        ("many", "matrix of 200 networks of 50 rules", 5.0),
        ("long", "matrix of a network of 10,000 rules", 6.0),
    ):
        command = [ours(), "matrix", "-C", str(folder / name), "--format", "json"]
        figures = [timed(command) for _ in range(ROUNDS)]
        undecided = figures[0].output.count('"reach": "undecided"')
        report.say(Fact(what, statistics.median(run.seconds for run in figures), most))
        report.say(Fact("... pairs that are not decided", undecided, 0, ""))


def _diff_many(report: Report, folder: Path) -> None:
    """200 networks of 50 rules, ten of them changed in one rule."""
    lines = scattered(200 * 50)
    texts = {f"net{n}": (f"10.{n}.0.0/16", override(lines[n * 50 : n * 50 + 50], f"net{n}")) for n in range(200)}
    workspace(folder / "old", texts)
    for n in range(0, 200, 20):
        subnet, text = texts[f"net{n}"]
        changed = text.splitlines(keepends=True)
        changed[20] = changed[20].replace("ports: [80", "ports: [90")
        texts[f"net{n}"] = subnet, "".join(changed)
    workspace(folder / "new", texts)
    _said(report, "diff, 200 networks of 50 rules, ten changed", _diff(folder))


def _diff_long(report: Report, folder: Path) -> None:
    for name, make in WORKLOADS.items():
        lines = make(10_000)
        workspace(folder / name / "old", {"bench": ("10.99.0.0/16", override(lines))})
        for n in range(500, 10_000, 1000):
            old = lines[n]
            lines[n] = Line(old.action, old.net, old.port + 1000)
        workspace(folder / name / "new", {"bench": ("10.99.0.0/16", override(lines))})
        _said(report, f"diff, 10,000 rules, ten changed, {name}", _diff(folder / name))


def _diff(folder: Path) -> list[Run]:
    return [timed([ours(), "diff", str(folder / "old"), str(folder / "new")]) for _ in range(ROUNDS)]


def _adversarial(report: Report, folder: Path) -> None:
    workspace(folder, {"bench": ("10.99.0.0/16", adversarial())})
    one = timed([ours(), "check", "-C", str(folder), "--format", "json"])
    _said(report, "check, 2,000 rules that all overlap (one run)", [one])


def _said(report: Report, what: str, figures: Sequence[Run]) -> None:
    report.say(Fact(what, statistics.median(run.seconds for run in figures), None))
    report.say(Fact("... its memory", statistics.median(run.megabytes for run in figures), None, "MB"))


class Run:
    """One process: its output, seconds of wall time and of processor, and peak memory."""

    def __init__(self, output: str, seconds: float, usage: struct_rusage) -> None:
        self.output, self.seconds = output, seconds
        self.processor, self.megabytes = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def timed(command: Sequence[str]) -> Run:
    with TemporaryDirectory() as folder:
        out, said = Path(folder) / "out", Path(folder) / "said"
        with out.open("wb") as stdout, said.open("wb") as stderr:
            begin = time.perf_counter()
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
            _, status, usage = os.wait4(process.pid, 0)
            took = time.perf_counter() - begin
            process.returncode = os.waitstatus_to_exitcode(status)
        # 2 is what check says where the profile could not be published: 1,024 rules a direction are Calico's limit.
        if process.returncode not in (0, 1, 2):
            sys.exit(f"bench: {command} ended with {process.returncode}: {said.read_text()[-2000:]}")
        return Run(out.read_text(), took, usage)


def workspace(folder: Path, networks: dict[str, tuple[str, str]]) -> None:
    (folder / "profiles").mkdir(parents=True)
    for name, (subnet, text) in networks.items():
        (folder / f"{name}.conf").write_text(CONF.format(name, subnet))
        (folder / "profiles" / f"{name}.yaml").write_text(text)


def ours() -> str:
    """What is installed: one file, whose parser of YAML is the C one that is loaded from memory."""
    return str(ROOT / "dist/calico")
