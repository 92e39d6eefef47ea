"""docs/reference/ written as the code has it: `make reference`; with --check only compared, for `make check`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"


def main(argv: list[str]) -> int:
    """0, 1 where --check found a page that is not of today, 2 for bad usage."""
    if argv not in ([], ["--check"]):
        print("usage: write_reference.py [--check]", file=sys.stderr)
        return 2
    with TemporaryDirectory() as empty:  # a host with nothing on it
        os.environ |= {"CALICO_RKT_RUN_DIR": empty, "CALICO_RKT_LIB_DIR": empty}
        from reference.pages import texts

        wanted = dict(texts())
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*")}
    differing = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
    if argv == ["--check"]:
        for name in differing:
            print(f"docs/reference/{name} is not what the code says: make reference", file=sys.stderr)
        return int(bool(differing))
    FOLDER.mkdir(exist_ok=True)
    for name in differing:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
