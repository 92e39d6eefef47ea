"""A rule's table, chain and handle in; its number in the chain and its text out, as the kernel has it now."""

from __future__ import annotations

import re
from dataclasses import dataclass

from calico_rkt.plugin.enforce.nft import libnftables
from calico_rkt.plugin.tracing.events import Event

_HANDLE = re.compile(r"\t\t(?P<text>.*) # handle (?P<number>\d+)\Z")
_CHAIN = re.compile(r"\tchain (?P<name>\S+) \{")


@dataclass(frozen=True, slots=True)
class KernelRule:
    """One rule: its number counts from 0 in its chain, text is as nft lists it."""

    number: int
    text: str


class Rules:
    """What listings told; a rule that none of them had is looked for in a new one, once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], dict[tuple[str, int], KernelRule]] = {}

    def of(self, event: Event) -> KernelRule | None:
        """The rule of a step; None where it is gone, or where no rule but a policy decided."""
        if not event.handle:
            return None
        table, wanted = (event.family, event.table), (event.chain, event.handle)
        if wanted not in self._found.get(table, {}):
            self._found[table] = {**self._found.get(table, {}), **_listed(*table)}
        return self._found[table].get(wanted)


def _listed(family: str, name: str) -> dict[tuple[str, int], KernelRule]:
    try:
        text = libnftables.listed(f"list table {family} {name}", handles=True)
    except libnftables.NftError:
        return {}
    return read_rules(text)


def read_rules(text: str) -> dict[tuple[str, int], KernelRule]:
    r"""The rules of a listing with handles, by chain and handle.

    >>> read_rules('\tchain a { # handle 1\n\t\ttype filter hook input priority 0;\n\t\tdrop # handle 2\n\t}\n')
    {('a', 2): KernelRule(number=0, text='drop')}
    """
    found: dict[tuple[str, int], KernelRule] = {}
    chain, number = "", 0
    for line in text.splitlines():
        if begins := _CHAIN.match(line):
            chain, number = begins["name"], 0
        elif line == "\t}":
            chain = ""
        elif chain and (rule := _HANDLE.match(line)):
            found[chain, int(rule["number"])] = KernelRule(number, rule["text"])
            number += 1
    return found
