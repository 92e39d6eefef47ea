"""Networks' scripts in; their rules in force in the place of those before, for each packet one of the two, whole, out.

Linux switches to a new generation of the ruleset first and shows afterwards what sets with intervals have that came
with it, and a map that goes with its rules goes for packets that are still among these. In one transaction a packet
could so meet rules whose sets look empty, pass, and open its flow for good: docs/decisions/096. So rules come into the
kernel where no packet meets them, with all that their sets have; what puts them in force makes and ends no set.
"""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Sequence
from contextlib import suppress

from calico_rkt.plugin.enforce.nft import libnftables, transactions
from calico_rkt.plugin.enforce.nft.elements import CHAIN_OF_MAP, TABLE
from calico_rkt.plugin.enforce.nft.ruleset import parts_of
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.process.log import LOG

ASIDE = "next-"
"""What a chain's name begins with while its rules are made ready."""
_FLUSHES = re.compile(rf"^flush chain inet {TABLE} ((?:out|in)-\S+)$", re.MULTILINE)
_NAMES = re.compile(
    rf"(^\s*(?:add |flush )?(?:chain|rule) (?:inet {TABLE} )?|^ *(?:[0-9-]+ : )?goto )(?=(?:out|in)-[a-z0-9])",
    re.MULTILINE,
)
"""The names of chains: where they are made and filled, and where a line or an element of a map leads to one of them."""
_BESIDE = re.compile(
    rf"^(?:(?:add|flush) (?:chain|rule) inet {TABLE} host-|add element inet {TABLE} (?:{'|'.join(CHAIN_OF_MAP)}) ).*\n",
    re.MULTILINE,
)
"""What needs no place aside: chains host-ID, and elements that lead to chains, which have to be there by then."""
_MEMBARRIER, _GLOBAL = 324, 1
_PAUSE = 0.05
"""Seconds for packets that are under way, where the kernel has no word for it."""


def swap(script: str) -> None:
    """Put the rules in force; NftError and nothing of it, else they are in force from here on.

    Under the policy lock. Whoever is ended on the way leaves the old rules or the new ones in force, and chains that
    the next restore takes away.
    """
    chains = tuple(dict.fromkeys(_FLUSHES.findall(script)))
    if not any(transactions.rule_counts(TABLE, chains).values()):
        return libnftables.run_nft(script)  # nothing leads to them yet
    libnftables.run_nft(_NAMES.sub(rf"\g<1>{ASIDE}", _BESIDE.sub("", script)))
    try:
        libnftables.run_nft("".join(map(_led_aside, chains)) + "".join(_BESIDE.findall(script)))
    except CniError:
        with suppress(CniError):  # who ended before it said what became of it may have done it
            transactions.delete_rules(TABLE, _leads(chains))
        with suppress(CniError):
            _take_away(chains)
        raise
    let_packets_pass()
    try:
        _tidied(script, chains)
    except CniError as first:
        LOG.info("the new rules are in force, and are put into their place once more: %s", first.details)
        try:
            _tidied(script, chains)
        except CniError as e:
            LOG.error("the new rules are in force, aside of their place; calico-rkt restore puts them there: %s", e.msg)
    return None


def _led_aside(chain: str) -> str:
    return f"add chain inet {TABLE} {chain}\ninsert rule inet {TABLE} {chain} goto {ASIDE}{chain}\n"


def _leads(chains: Sequence[str]) -> dict[str, bytes]:
    """By chain what its first rule has in it that leads aside."""
    return {chain: f"{ASIDE}{chain}\0".encode() for chain in chains}


def _tidied(script: str, chains: Sequence[str]) -> None:
    """The rules come to their own place behind the one that leads aside; then that one goes, and what is aside."""
    lead = rf"\g<0>\nadd rule inet {TABLE} \g<1> goto {ASIDE}\g<1>"
    libnftables.run_nft(_FLUSHES.sub(lead, script))
    transactions.delete_rules(TABLE, _leads(chains))
    let_packets_pass()
    with transactions.held() as socket:
        before = parts_of(chains, socket).difference(chains)
    _take_away(chains, sorted(before))


def _take_away(chains: Sequence[str], before: Sequence[str] = ()) -> None:
    """What is aside of these chains, and chains that ports were led to before and are no more."""
    names = [*(f"{ASIDE}{c}" for c in chains), *before]
    libnftables.run_nft("".join(f"{v} chain inet {TABLE} {c}\n" for v in ("flush", "delete") for c in names))


def let_packets_pass() -> None:
    """Packets that are among the rules of before have left them: membarrier(2) waits for that."""
    if ctypes.CDLL(None).syscall(_MEMBARRIER, _GLOBAL, 0, 0) != 0:
        time.sleep(_PAUSE)
