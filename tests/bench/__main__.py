"""`make bench`: our figures beside the peers', interleaved in one run, as medians and ratios.

`python3 -m tests.bench review` (or `attach`, `peers`, `phases`, `packets`, `sizes`) runs one part alone. What attaches
runs in network and mount namespaces of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

INSIDE = "CALICO_RKT_BENCH_INSIDE"
PARTS = ("attach", "peers", "phases", "packets", "sizes", "review")


def main(wanted: list[str]) -> int:
    if INSIDE in os.environ:
        from tests.bench import measure, peers, phases

        return {"attach": measure.main, "peers": peers.main, "phases": phases.main}[os.environ[INSIDE]]()
    unknown = [w for w in wanted if w not in PARTS]
    if unknown:
        print(f"bench: no part is called {unknown[0]!r}; known here: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    status = 0
    for part in ("attach", "peers", "phases"):
        if not wanted or part in wanted:
            unshare = shutil.which("unshare") or "unshare"
            command = [unshare, "-nmp", "--fork", "--mount-proc", "--kill-child", sys.executable, "-m", "tests.bench"]
            status = subprocess.run(command, env=os.environ | {INSIDE: part}, check=False).returncode or status
    if not wanted or "packets" in wanted:
        from tests.bench import packets

        status = packets.main() or status
    if not wanted or "sizes" in wanted:
        from tests.bench import sizes

        status = sizes.main() or status
    if not wanted or "review" in wanted:
        from tests.bench import review

        status = review.main() or status
    return status


sys.exit(main(sys.argv[1:]))
