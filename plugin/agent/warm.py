"""Everything that an ADD or DEL imports or opens when it first needs it, had before the first call comes."""

from __future__ import annotations

from contextlib import suppress

from calico_rkt.plugin.enforce.nft import base, libnftables
from calico_rkt.plugin.errors import CniError


def up() -> None:
    """Load libnftables and print the table's base once; a host without nftables finds out at its first call."""
    with suppress(CniError):
        libnftables.listed("list tables inet")
        base.base_script()
