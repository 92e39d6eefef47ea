"""Numbers of linux/netfilter/nf_tables.h that both who writes and who reads the kernel's table has to know."""

from __future__ import annotations

import struct

INET = struct.pack("=BBH", 1, 0, 0)
"""The head of a message about something of family inet."""
TABLE_NAME = 1  # NFTA_TABLE_NAME
CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_POLICY, CHAIN_TYPE = 1, 3, 4, 5, 7  # NFTA_CHAIN_*
HOOK_NUMBER, HOOK_PRIORITY, ACCEPT = 1, 2, 1  # NFTA_HOOK_*, NF_ACCEPT
RULE_TABLE, RULE_CHAIN, RULE_HANDLE, RULE_EXPRESSIONS, RULE_USERDATA = 1, 2, 3, 4, 7  # NFTA_RULE_*


def text(value: str) -> bytes:
    """A name as an attribute has it."""
    return value.encode() + b"\0"
