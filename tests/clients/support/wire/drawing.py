"""A seed in, a random host out: its networks, its containers, and the files that decide, as plain values.

Everything is a dict, a list, a text or a number, so that a host can be kept as JSON and made smaller piece by piece.
"""

from __future__ import annotations

import os
import random
from typing import Any

from tests.clients.support.lab import conf
from tests.clients.support.wire.drawing_rules import Names, definitions, list_of_rules, plain_list

NAMES = ("web", "db", "Front_End.1", "a", "cache-" + "x" * 60, "vault")
SETS = ("same-network", "isolated", "open", "no-metadata")


def new_seed() -> int:
    """One that no run had before, or the one of WIRE_SEED, to try the same again."""
    return int(os.environ.get("WIRE_SEED", random.SystemRandom().randrange(1 << 31)))


def draw_host(rng: random.Random) -> dict[str, Any]:
    """{"networks": [conf, ...], "endpoints": [[container, ifname, network], ...], "files": {name: document},
    "checksums": whether conntrack looks at them}."""
    names = rng.sample(NAMES, rng.randint(2, 5))
    networks = [_conf(rng, n, name) for n, name in enumerate(names)]
    if rng.random() < 0.2:  # two networks may share a subnet, and one may be a part of another's
        networks[1]["ipam"] = networks[0]["ipam"]
    return {
        "networks": networks,
        "endpoints": _endpoints(rng, names),
        "files": draw_files(rng, networks),
        "checksums": rng.random() < 0.6,
    }


def _conf(rng: random.Random, n: int, name: str) -> dict[str, Any]:
    v4 = {"subnet": f"10.{60 + n}.0.0/{rng.choice((24, 26, 28))}"}
    v6 = {"subnet": f"fd00:{60 + n}::/{rng.choice((64, 112, 122))}"}
    if rng.random() < 0.3:
        v4 |= {"rangeStart": f"10.{60 + n}.0.4", "rangeEnd": f"10.{60 + n}.0.11"}
    ranges = rng.choice(([[v4]], [[v6]], [[v4], [v6]], [[v4], [v6]]))
    return conf(name, {"type": "host-local", "ranges": ranges}, **({"ipMasq": True} if rng.random() < 0.25 else {}))


def _endpoints(rng: random.Random, names: list[str]) -> list[list[str]]:
    """Every network has one, some have more; a container has up to three interfaces."""
    wanted = [*names, *(rng.choice(names) for _ in range(rng.randint(1, 4)))]
    found: list[list[str]] = []
    container = interface = 0
    for network in wanted:
        if not container or interface == 2 or rng.random() < 0.7:
            container, interface = container + 1, 0
        else:
            interface += 1
        found.append([f"c{container}", f"eth{interface}", network])
    return found


def draw_files(rng: random.Random, networks: list[dict[str, Any]]) -> dict[str, Any]:
    """The documents of profiles/ for these networks, by the names of their files."""
    names = Names.of(networks)
    shared = definitions(rng, names)
    settings: dict[str, Any] = {}
    if rng.random() < 0.5:
        own = {d: list_of_rules(rng, names, inside_default=True) for d in ("ingress", "egress")}
        settings["default"] = rng.choice((*SETS, own))
    if rng.random() < 0.3:
        settings["log_limit"] = {"rate": rng.randint(1, 100), "burst": rng.randint(1, 500)}
    files: dict[str, Any] = {"names.yaml": {"definitions": shared}}
    if settings:
        files["site.yaml"] = {"settings": settings}
    for number, name in enumerate(names.networks):
        if rng.random() < 0.1:
            continue  # the default rules alone
        plain = rng.random() < 0.12
        files[f"{number}.yaml"] = _profile(rng, name, names) if plain else _override(rng, name, names)
    return files


def _override(rng: random.Random, name: str, names: Names) -> dict[str, Any]:
    found: dict[str, Any] = {"network": name}
    for direction in ("ingress", "egress"):
        if rng.random() < 0.9:
            found[direction] = list_of_rules(rng, names)
    if rng.random() < 0.6:
        found["endpoint_to_host"] = rng.choice(("drop", "return", "accept"))
    return found


def _profile(rng: random.Random, name: str, names: Names) -> dict[str, Any]:
    """The same as Calico writes it; a direction that is missing, null or empty denies all."""
    spec: dict[str, Any] = {"labelsToApply": {names.ids[name]: ""}}
    for direction in ("ingress", "egress"):
        if rng.random() < 0.9:
            spec[direction] = rng.choice((plain_list(rng, names), plain_list(rng, names), None))
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "Profile",
        "metadata": {"name": names.ids[name]},
        "spec": spec,
    }
