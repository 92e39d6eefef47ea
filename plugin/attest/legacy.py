"""iptables' own tables (not those that are nftables underneath) in; rules that may keep packets of ours away out.

They are not in nftables' listing at all. Each rule that does more than accept, log or call a chain is named, but where
its interfaces say that no packet of ours is meant: nothing of it is proven here.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

from calico_rkt.plugin.enforce.nft.elements import OURS

_TOOLS = {"iptables-legacy": "ip_tables_names", "ip6tables-legacy": "ip6_tables_names"}
_HARMLESS = ("ACCEPT", "RETURN", "LOG", "NFLOG", "MASQUERADE", "SNAT", "TCPMSS", "AUDIT")
_PREFIX = OURS.rstrip("*")


def legacy_rules() -> tuple[str, ...]:
    """What may concern packets of ours, in words; nothing where the kernel has no such table."""
    return tuple(words for tool, names in _TOOLS.items() for words in _of(tool, names))


def _of(tool: str, names: str) -> Iterator[str]:
    try:
        tables = Path(f"/proc/thread-self/net/{names}").read_text(encoding="ascii").split()
    except OSError:
        return
    for table in tables:
        argv = [tool, "-t", table, "-S"]
        try:
            listing = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10).stdout
        except (OSError, subprocess.SubprocessError) as e:
            yield f"table {table} of {tool} is there and can not be read: {e}"
            continue
        yield from (f"{tool}, table {table}: `{line}` may concern packets of ours" for line in concerning(listing))


def concerning(listing: str) -> Iterator[str]:
    """The lines of `iptables-legacy -S` that may."""
    lines = [(line, shlex.split(line)) for line in listing.splitlines()]
    own = {words[1] for _, words in lines if words[:1] == ["-N"]}
    for line, words in lines:
        target = next((words[n + 1] for n, w in enumerate(words[:-1]) if w in ("-j", "-g")), "")
        harmless = target in _HARMLESS or target in own or (words[0] == "-A" and not target)
        policy = words[0] == "-P" and words[2] != "ACCEPT"
        if policy or (words[0] == "-A" and not harmless and not _between_others(words)):
            yield line


def _between_others(words: list[str]) -> bool:
    """Whether both interfaces are named, and neither can be ours."""
    return all(_is_other(words, option) for option in ("-i", "-o"))


def _is_other(words: list[str], option: str) -> bool:
    at = words.index(option) if option in words else 0
    if not at or words[at - 1] == "!":
        return False
    name = words[at + 1]
    if name.endswith("+"):
        return not (_PREFIX.startswith(name[:-1]) or name.startswith(_PREFIX))
    return not name.startswith(_PREFIX)
