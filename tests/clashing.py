"""Nothing in; the ids of two networks whose device groups have one number, out: some 2 ** 15 are tried."""

from __future__ import annotations

from functools import cache

from calico_rkt.plugin.link.groups import group_of


@cache
def two_with_one_number() -> tuple[str, str]:
    """In the order of their ids, which are names, too."""
    known: dict[int, str] = {}
    for n in range(1 << 20):
        network_id = f"n{n}"
        other = known.setdefault(group_of.__wrapped__(network_id), network_id)
        if other != network_id:
            first, second = sorted((other, network_id))
            return first, second
    raise AssertionError("none in a million")
