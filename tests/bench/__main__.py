"""`make bench`: our figures beside others', in turn in one run, as medians and ratios; docs/speed.md is made of them.

`python3 -m tests.bench review` (or another of PARTS) measures one part alone. What attaches runs in network and mount
namespaces of its own. `phases` says where the time of a call goes, and is not kept.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import import_module

from tests.bench.report import PAGE, Report

INSIDE = "CALICO_RKT_BENCH_INSIDE"
PARTS = {
    "attach": "medians of 40 calls (30 of those at once), with an agent",
    "peers": "ADD with policy beside others' and beside the kernel's part alone, medians of 40, with an agent",
    "one_shot": "medians of 40 calls, each a process of its own: no agent",
    "etcd": "medians of 30 calls, with an agent and one etcd on this host",
    "endpoints": "1,000 networks, up to 10,000 endpoints with real links",
    "packets": "medians of 9 loads in turn; packets and connections as the 10th percentile of batches",
    "review": "medians of 5 runs of dist/calico, if not said otherwise",
    "phases": "",
}
APART = ("attach", "peers", "one_shot", "etcd", "endpoints", "phases")


def main(wanted: list[str]) -> int:
    if inside := os.environ.get(INSIDE):
        return _measured_inside(inside)
    unknown = [w for w in wanted if w not in PARTS]
    if unknown:
        print(f"bench: no part is called {unknown[0]!r}; known here: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    status = 0
    for part in wanted or PARTS:
        if part in APART:
            unshare = shutil.which("unshare") or "unshare"
            command = [unshare, "-nmp", "--fork", "--mount-proc", "--kill-child", sys.executable, "-m", "tests.bench"]
            status = subprocess.run(command, env=os.environ | {INSIDE: part}, check=False).returncode or status
        else:
            _measured(part)
    print(f"\nfigures in {PAGE.relative_to(PAGE.parents[1])}")
    return status


def _measured_inside(part: str) -> int:
    from tests.bench import host

    host.prepare()
    os.environ.update(host.ENVIRON)
    if part == "phases":
        from tests.bench import phases

        phases.show_all()
    else:
        _measured(part)
    return 0


def _measured(part: str) -> None:
    report = Report(part, PARTS[part])
    report.begin()
    import_module(f"tests.bench.{part}").rows(report)
    report.keep()


sys.exit(main(sys.argv[1:]))
