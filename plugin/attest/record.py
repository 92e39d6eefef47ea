"""What the last attestation came to in, kept for the host's metrics; read again out."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from calico_rkt.compiler import atomic

NAME = "attested.json"
"""The file's name in the folder of this host's state: it is of this boot."""
OUTCOMES = ("equal", "different", "not proven", "failed")
"""failed: it could not be tried, such as where a file does not compile."""


@dataclass(frozen=True, slots=True)
class Last:
    """at: seconds of Unix time."""

    outcome: str
    at: float
    digest: str = ""
    differences: int = 0
    open: int = 0


def keep(folder: Path, outcome: str, *, digest: str = "", differences: int = 0, open_: int = 0) -> None:
    """Put it in place of the one before."""
    last = Last(outcome, time.time(), digest, differences, open_)
    atomic.make_folder(folder, 0o700)
    atomic.replace(folder / NAME, json.dumps(asdict(last)).encode())


def last(folder: Path) -> Last | None:
    """None where none was kept since the boot, or what was can't be read."""
    try:
        return Last(**json.loads((folder / NAME).read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
