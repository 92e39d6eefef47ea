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
from tempfile import TemporaryDirectory

from calico_rkt.compiler.ir.model import Network
from tests.bench.workloads import Line, adversarial, aerleon, dead, hierarchical, override, rules, scattered
from tests.findings import lint

ROOT = Path(__file__).resolve().parent.parent.parent
PEER = ROOT / "build" / "aerleon"
AERLEON = "aerleon==1.18.0"
ROUNDS = 5
CONF = '{{"cniVersion": "1.0.0", "name": "{}", "type": "calico", "ipam": {{"type": "host-local", "subnet": "{}"}}}}\n'
WORKLOADS: dict[str, Callable[[int], list[Line]]] = {"hierarchical": hierarchical, "scattered": scattered}
FILES = frozenset({"bench.yaml"})


def main() -> int:
    peer = _peer()
    print(f"\nthe review: medians of {ROUNDS} unless said otherwise; seconds of wall time, MB of peak memory")
    with TemporaryDirectory() as folder:
        for name, make in WORKLOADS.items():
            _check(Path(folder) / name, name, make(10_000))
        _growth()
        if peer:
            _against_aerleon(peer, Path(folder))
        _diff_many(Path(folder) / "many")
        _diff_long(Path(folder) / "long")
        _adversarial(Path(folder) / "adversarial")
    return 0


def _peer() -> Path | None:
    """aerleon's own interpreter, in a folder of its own; None, and words, where it can't be had."""
    python = PEER / "bin" / "python"
    if not python.exists():
        shutil.rmtree(PEER, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
        if subprocess.run([PEER / "bin" / "pip", "install", "-q", AERLEON], check=False).returncode:
            shutil.rmtree(PEER, ignore_errors=True)
            print(f"bench: {AERLEON} can't be installed, so nothing is compared with it", file=sys.stderr)
            return None
    return python


def _check(folder: Path, name: str, lines: Sequence[Line]) -> None:
    """check as a whole process; what it says is compared with a count that shares nothing with it."""
    workspace(folder, {"bench": ("10.99.0.0/16", override(lines))})
    figures = [
        timed([ours(), "check", "-C", str(folder), "--select", "CR801", "--format", "json"]) for _ in range(ROUNDS)
    ]
    said = {d["line"] - 3 for d in json.loads(figures[0].output)["findings"] if d["code"] == "CR801"}
    truth = dead(lines)
    found = "all found, none invented" if said == truth else f"{len(truth - said)} missed, {len(said - truth)} invented"
    show(f"check, 10,000 rules, {name}", figures, f"{len(truth)} dead rules: {found}")


def _growth() -> None:
    for name, make in WORKLOADS.items():
        took = {n: statistics.median(_lint(rules(make(n))) for _ in range(ROUNDS)) for n in (1000, 3000, 10_000)}
        exponent = math.log(took[10_000] / took[1000]) / math.log(10)
        said = ", ".join(f"{n:,}: {t:.3f} s" for n, t in took.items())
        print(f"{f'analysis alone, {name}':<52} {said}; grows with exponent {exponent:.2f}")


def _lint(given: tuple[object, ...]) -> float:
    network = Network("bench", "bench", ingress=given)  # type: ignore[arg-type]
    begin = time.perf_counter()
    for _ in lint(network, frozenset({"bench"}), FILES):
        pass
    return time.perf_counter() - begin


def _against_aerleon(peer: Path, folder: Path) -> None:
    lines = hierarchical(3000)
    script = str(ROOT / "tests" / "bench" / "aerleon_peer.py")
    theirs = float(timed([str(peer), script, str(_files(folder / "shade", aerleon(lines)))]).output)
    mine = statistics.median(_lint(rules(lines)) for _ in range(ROUNDS))
    said = f"{mine:.3f} and {theirs:.3f} s: {theirs / mine:.0f} times faster"
    print(f"{'shadows of 3,000 rules, aerleon once':<52} {said}")
    lines = hierarchical(10_000)
    workspace(folder / "compile", {"bench": ("10.99.0.0/16", override(lines))})
    command = [str(ROOT / ".venv/bin/compile-profile"), str(folder / "compile/bench.conf"), "--target", "nftables"]
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
    show("compile 10,000 rules to nftables", [p[0] for p in pairs])
    show("  aerleon's aclgen", [p[1] for p in pairs])
    ratio = statistics.median(b.seconds / a.seconds for a, b in pairs)
    print(f"{'  ratio':<52} {ratio:.2f} times faster")


def _files(folder: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def _diff_many(folder: Path) -> None:
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
    figures = [timed([ours(), "diff", str(folder / "old"), str(folder / "new")]) for _ in range(ROUNDS)]
    show("diff, 200 networks of 50 rules, ten changed", figures, f"{figures[0].output.count(' -> ')} lines with arrows")


def _diff_long(folder: Path) -> None:
    for name, make in WORKLOADS.items():
        lines = make(10_000)
        workspace(folder / name / "old", {"bench": ("10.99.0.0/16", override(lines))})
        for n in range(500, 10_000, 1000):
            old = lines[n]
            lines[n] = Line(old.action, old.net, old.port + 1000)
        workspace(folder / name / "new", {"bench": ("10.99.0.0/16", override(lines))})
        command = [ours(), "diff", str(folder / name / "old"), str(folder / name / "new")]
        figures = [timed(command) for _ in range(ROUNDS)]
        flows = sum(line.startswith("  ") and not line.startswith("   ") for line in figures[0].output.splitlines())
        show(f"diff, 10,000 rules, ten changed, {name}", figures, f"{flows} flows")


def _adversarial(folder: Path) -> None:
    workspace(folder, {"bench": ("10.99.0.0/16", adversarial())})
    one = timed([ours(), "check", "-C", str(folder), "--format", "json"])
    codes = [d["code"] for d in json.loads(one.output)["findings"]]
    counts = ", ".join(f"{codes.count(c)} {c}" for c in sorted(set(codes)))
    show("check, 2,000 rules that all overlap (one run)", [one], counts or "nothing to say")


class Run:
    """One process: its output, seconds of wall time and peak memory."""

    def __init__(self, output: str, seconds: float, megabytes: float) -> None:
        self.output, self.seconds, self.megabytes = output, seconds, megabytes


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
        return Run(out.read_text(), took, usage.ru_maxrss / 1024)


def workspace(folder: Path, networks: dict[str, tuple[str, str]]) -> None:
    (folder / "profiles").mkdir(parents=True)
    for name, (subnet, text) in networks.items():
        (folder / f"{name}.conf").write_text(CONF.format(name, subnet))
        (folder / "profiles" / f"{name}.yaml").write_text(text)


def ours() -> str:
    """What is installed: one file, whose parser of YAML is the C one that is loaded from memory."""
    return str(ROOT / "dist/calico")


def show(what: str, figures: Sequence[Run], words: str = "") -> None:
    seconds = statistics.median(f.seconds for f in figures)
    memory = statistics.median(f.megabytes for f in figures)
    print(f"{what:<52} {seconds:>7.2f} s {memory:>6.0f} MB  {words}", flush=True)
