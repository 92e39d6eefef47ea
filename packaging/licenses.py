"""The packages that dist/calico bundles in; the texts of their licences and of ours out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution, packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OWN = ROOT / "packaging" / "licenses"
"""Texts of packages that come without: PyPI's python-etcd has none, its repository has."""
_TEXT = re.compile(r"(?:^|/)(?:LICEN[CS]E|COPYING|NOTICE)[^/]*\Z", re.IGNORECASE)


def distributions(packages: Iterable[str]) -> list[Distribution]:
    """What these packages were installed from, sorted by name."""
    known = packages_distributions()
    return sorted((distribution(known[package][0]) for package in packages), key=lambda d: d.name.lower())


def licences(packages: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """(NAME/FILE, text) of each distribution that has one of these packages, sorted, ours first.

    Ends the build where one has no licence: nothing is bundled that nobody may pass on.
    """
    yield "calico-rkt/LICENSE", (ROOT / "LICENSE").read_bytes()
    for found in distributions(packages):
        name = found.name
        texts = [f for f in found.files or () if _TEXT.search(str(f))]
        own = OWN / f"{name}.txt"
        if own.is_file():
            yield f"{name}/LICENSE", own.read_bytes()
        elif not texts:
            sys.exit(f"build: {name} is to be bundled and has no licence's text: packaging/licenses/{name}.txt")
        for text in sorted(texts, key=str):
            yield f"{name}/{text.name}", text.locate().read_bytes()
