"""Two variables of the environment in, where this host's state is out."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

RUN_DIR, LIB_DIR = Path("/run/calico-rkt"), Path("/var/lib/calico-rkt")

RECORDS_OF = {"etcdv3": "etcd", "etcdv2": "etcdv2"}
"""The folder of this host's own records of attachments in clusters, by the data model as a conf names it."""
RECORDS = tuple(RECORDS_OF.values())


def folders() -> tuple[Path, Path]:
    """Where this host's state is: CALICO_RKT_RUN_DIR and CALICO_RKT_LIB_DIR name others than /run and /var/lib's."""
    return _named(os.environ.get("CALICO_RKT_RUN_DIR", ""), os.environ.get("CALICO_RKT_LIB_DIR", ""))


@cache
def _named(run_dir: str, lib_dir: str) -> tuple[Path, Path]:
    return Path(run_dir or RUN_DIR), Path(lib_dir or LIB_DIR)
