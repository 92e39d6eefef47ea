"""Two variables of the environment in, where this host's state is out."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from calico_rkt.plugin.errors import CniError, Code

RUN_DIR, LIB_DIR = Path("/run/calico-rkt"), Path("/var/lib/calico-rkt")

RECORDS_OF = {"etcdv3": "etcd", "etcdv2": "etcdv2"}
"""The folder of this host's own records of attachments in clusters, by the data model as a conf names it."""
RECORDS = tuple(RECORDS_OF.values())


def folders() -> tuple[Path, Path]:
    """Where this host's state is: CALICO_RKT_RUN_DIR and CALICO_RKT_LIB_DIR name others than /run and /var/lib's.

    CniError 4 of one that is no absolute path: each working folder would have other addresses as taken.
    """
    return _named(os.environ.get("CALICO_RKT_RUN_DIR", ""), os.environ.get("CALICO_RKT_LIB_DIR", ""))


@cache
def _named(run_dir: str, lib_dir: str) -> tuple[Path, Path]:
    for name, given in (("CALICO_RKT_RUN_DIR", run_dir), ("CALICO_RKT_LIB_DIR", lib_dir)):
        if given and not given.startswith("/"):
            raise CniError(Code.INVALID_ENVIRONMENT, f"{name} is no absolute path: {given!r}")
    return Path(run_dir or RUN_DIR), Path(lib_dir or LIB_DIR)
