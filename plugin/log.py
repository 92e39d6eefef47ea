"""A level's name in, a logger out that writes to a file and to stderr, never to stdout."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

LOG = logging.getLogger("calico-rkt")
DEFAULT_FILE = "/var/log/calico-rkt/calico-rkt.log"


def open_log(level: str) -> None:
    """Start logging; a log file that can not be written (CALICO_RKT_LOG names another) leaves stderr alone."""
    LOG.setLevel(logging.getLevelName(level.upper()))
    LOG.propagate = False
    logging.raiseExceptions = False  # a full disk under the log must not write tracebacks to stderr
    LOG.handlers.clear()
    form = logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s")
    path = Path(os.environ.get("CALICO_RKT_LOG", DEFAULT_FILE))
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        to_file = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
        to_file.setFormatter(form)
        LOG.addHandler(to_file)
    except OSError as e:
        print(f"calico: no log file: {e}", file=sys.stderr)
    to_stderr = logging.StreamHandler(sys.stderr)
    to_stderr.setLevel(logging.WARNING)
    to_stderr.setFormatter(logging.Formatter("calico: %(levelname)s: %(message)s"))
    LOG.addHandler(to_stderr)
