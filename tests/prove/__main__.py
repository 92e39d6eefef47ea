"""Names of harnesses in (all where none is named); each run for its time, its figures printed and kept, out.

usage: python -m tests.prove [HARNESS ...] [--seconds N] [--seed N]; as root, in tests/apart.sh
"""

from __future__ import annotations

import argparse
import random
import sys
from importlib import import_module

from tests.prove.result import PAGE, keep

HARNESSES = {"attest": 1800, "bad_input": 3600, "wire": 1800, "faults": 3600, "histories": 600, "over_time": 900}
"""Each is a module of this folder with run(seed, seconds) -> Result; for how many seconds it goes on by itself."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make prove")
    parser.add_argument("harness", nargs="*", choices=[[], *HARNESSES], default=[])
    parser.add_argument("--seconds", type=float, help="instead of each harness's own")
    parser.add_argument("--seed", type=int, help="to try the same again (default: a new one)")
    args = parser.parse_args()
    worst = 0
    for name in args.harness or HARNESSES:
        seed = random.SystemRandom().randrange(1 << 31) if args.seed is None else args.seed
        print(f"{name}: seed {seed}", flush=True)
        result = import_module(f"tests.prove.{name}").run(seed, args.seconds or HARNESSES[name])
        keep(result)
        for words, count in result.figures.items():
            print(f"  {words}: {count:,}")
        for words in result.wrong:
            print(f"  wrong: {words}")
        worst = max(worst, 1 if result.wrong else 0)
    print(f"figures in {PAGE.relative_to(PAGE.parents[1])}")
    return worst


if __name__ == "__main__":
    sys.exit(main())
