"""A line on stdin in, all that this host has of attachments and policy as a line of JSON out, and so on.

An argument, etcd3 or etcd2: what the cluster has of it, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64decode, b64encode
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.state_log import rows as rows_of

RUN = Path("/run/calico-rkt")
ETCD = "http://127.0.0.1:2379"
LEASES = Path("/var/lib/cni/networks")
RESOURCES, IPAM = "/calico/resources/v3/projectcalico.org/", "/calico/ipam/v2/"
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
    return sorted(f"{log.parent.name} {row}" for log in RUN.glob("**/state.log") for row in rows_of(log.read_bytes()))


def hashed(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def asked(path: str, body: object = None) -> dict[str, object]:
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"{ETCD}{path}", data, timeout=60) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as e:  # nothing is there yet
        if e.code == 404:
            return {}
        raise


def etcd3() -> dict[str, object]:
    """Every key of the cluster with its value."""
    first, last = (b64encode(key).decode() for key in (b"/calico/", b"/calico0"))
    found = asked("/v3/kv/range", {"key": first, "range_end": last}).get("kvs", [])
    return {b64decode(kv["key"]).decode(): json.loads(b64decode(kv["value"])) for kv in found}


def etcd3_rows(dump: dict[str, object]) -> list[str]:
    """What lasts from run to run: of a block who has which address, of a profile what it says."""
    told = []
    for key, value in dump.items():
        if key.startswith(f"{RESOURCES}profiles/"):
            told.append(f"profile {key} {hashed(value['spec'])}")
        elif key.startswith(f"{IPAM}assignment/"):
            held = [o for o, a in enumerate(value["allocations"]) if a is not None]
            taken = [o for o in held if value["attributes"][value["allocations"][o]].get("handle_id")]
            told.append(f"block {key} {taken}")
        else:
            told.append(key)
    return sorted(told)


def etcd2_rows() -> list[str]:
    told = []

    def walk(node: dict[str, object]) -> None:
        key = node.get("key", "/")
        if node.get("dir"):
            if not node.get("nodes") and "/workload/" in key:
                told.append(f"folder {key}")
            for child in node.get("nodes", ()):
                walk(child)
        elif "/policy/profile/" in key:
            told.append(f"profile {key} {hashed(node['value'])}")
        elif "/assignment/" not in key or node.get("value"):
            told.append(key)

    walk(asked("/v2/keys/calico?recursive=true&quorum=true").get("node", {}))
    return sorted(told)


def leases() -> list[str]:
    """What CNI's host-local has given away, and to whom.

    Who was ended before it wrote that leaves an empty file: host-local itself frees it for nobody.
    """
    given = (p for p in LEASES.glob("*/*") if p.name[0].isalnum() and "last" not in p.name and p.name != "lock")
    return sorted(f"{p} {words[0]}" for p in given if (words := p.read_text().split()))


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
        "leases": leases(),
    }
    if sys.argv[1:] == ["etcd3"]:
        dump = etcd3()
        told |= {"etcd": etcd3_rows(dump), "dump": [json.dumps(dump)]}
    elif sys.argv[1:]:
        told["etcd"] = etcd2_rows()
    print(json.dumps(told), flush=True)
