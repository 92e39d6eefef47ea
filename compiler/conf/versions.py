"""The versions that a list of plugins names in; the one that a runtime takes out.

A list of CNI 1.1 may have `cniVersions` beside `cniVersion`. libcni 1.2 and later take the highest of all that is not
newer than what they speak; before, and in the conf of one plugin, `cniVersion` alone counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from calico_rkt.compiler.conf.netconf import SUPPORTED_VERSIONS

_NEWEST = tuple(map(int, SUPPORTED_VERSIONS[-1].split(".")))
_DIGITS = 9
"""Those of a number at most: longer ones overflow what libcni counts with."""


def chosen(plain: str, listed: Iterable[str] = ()) -> str:
    """What a runtime of today takes; plain is `cniVersion`, empty where there is none.

    >>> chosen("1.0.0", ["0.4.0", "1.1.0", "2.0.0"])
    '1.1.0'
    >>> chosen("", [])
    '0.1.0'
    """
    every = [v for v in listed if is_version(v)]
    if not every:
        return plain or SUPPORTED_VERSIONS[0]
    known = [v for v in (*every, *([plain] if is_version(plain) else [])) if _numbers(v) <= _NEWEST]
    return max(known, key=_numbers) if known else plain or SUPPORTED_VERSIONS[0]


def is_version(text: str) -> bool:
    """Whether it is up to three numbers between dots: else libcni refuses the list."""
    parts = text.split(".")
    return len(parts) <= 3 and all(p.isascii() and p.isdigit() and len(p) <= _DIGITS for p in parts)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
