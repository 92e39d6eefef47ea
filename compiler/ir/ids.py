"""A name as people gave it in, the id out under which every target knows it."""

from __future__ import annotations

import re
from functools import lru_cache

from calico_rkt.compiler.digest import sha256

LONGEST = 63
NETWORK_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
"""CNI's rule for the name of a network, as a whole."""
_DNS_1123 = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_HASHED = re.compile(r".*-[0-9a-f]{8}\Z", re.DOTALL)
_RESERVED = ("kns.", "ksa.")
_DEFAULT_ALLOW = "projectcalico-default-allow"


@lru_cache(maxsize=1 << 12)
def object_id(name: str) -> str:
    """The id of a network, container or interface: the name itself where Calico takes it.

    Calico takes DNS-1123 names (libcalico-go's v3 validator) of which a label holds 63 characters. All else,
    the reserved names, and a name that ends like one of our hashes, is lower-cased, cleaned and gets
    8 hex digits of its SHA-256, so that two names never share an id by being cleaned alike.
    """
    if (
        len(name) <= LONGEST
        and _DNS_1123.match(name)
        and name != _DEFAULT_ALLOW
        and not name.startswith(_RESERVED)
        and not _HASHED.match(name)
    ):
        return name
    return _hashed(name)


def segment_id(name: str) -> str:
    """The id as one segment of an endpoint's name on a Calico cluster, where a container's id has no dots."""
    return object_id(name) if "." not in name else _hashed(name)


def _hashed(name: str) -> str:
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    cleaned = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[: LONGEST - 9].strip("-")
    return f"{cleaned or 'x'}-{digest}"
