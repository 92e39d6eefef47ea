"""A line on stdin in, all that this host has of attachments and policy as a line of JSON out, and so on."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

STATE = "/run/calico-rkt/state.sqlite"
TABLES = ("endpoints", "addresses", "used")
FOLDERS = ("/run/calico-rkt", "/var/lib/calico-rkt", "/var/log/calico-rkt")
PROFILES = Path("/var/lib/calico-rkt/profiles")
ATTEMPTS = 5


def said(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def listed(*argv: str) -> list[str]:
    """Lines as the kernel has them, without what time alone changes."""
    lines = said(*argv).splitlines()
    return sorted(" ".join(w for w in line.split() if not w.endswith("sec")) for line in lines)


def rules() -> list[str]:
    """nft reads the ruleset again when it changes meanwhile, and gives up at some time."""
    for attempt in range(ATTEMPTS):
        try:
            return said("nft", "list", "ruleset").splitlines()
        except subprocess.CalledProcessError:
            if attempt == ATTEMPTS - 1:
                raise
    return []


def rows() -> list[str]:
    if not Path(STATE).exists():
        return []
    db = sqlite3.connect(STATE, timeout=60)
    try:
        return sorted(f"{table} {row}" for table in TABLES for row in db.execute(f"SELECT * FROM {table}"))
    finally:
        db.close()


def files() -> list[str]:
    found = []
    for folder in FOLDERS:
        for where, _, names in os.walk(folder):
            found += [f"{where}/{name}" for name in names if not where.endswith("/locks")]
    return sorted(found)


def published() -> list[str]:
    return sorted(f"{p.name} {hashlib.sha256(p.read_bytes()).hexdigest()}" for p in PROFILES.glob("*.yaml"))


for _ in sys.stdin:
    links = [line.split(":", 2)[1].strip().partition("@")[0] for line in said("ip", "-o", "link").splitlines()]
    told = {
        "links": sorted(links),
        "addresses": sorted(" ".join(x.split()[1:4]) for x in said("ip", "-o", "address").splitlines()),
        "routes": [r for family in ("-4", "-6") for r in listed("ip", family, "route", "show", "table", "all")],
        "neighbours": listed("ip", "neigh", "show", "nud", "permanent", "proxy"),
        "rules": rules(),
        "rows": rows(),
        "files": files(),
        "published": published(),
    }
    print(json.dumps(told), flush=True)
