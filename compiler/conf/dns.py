"""The dns object of a conf in, a Dns out."""

from __future__ import annotations

from calico_rkt.compiler.conf.netconf import Dns
from calico_rkt.compiler.conf.section import Section

_LISTS = ("nameservers", "search", "options")


def read_dns(section: Section) -> Dns:
    """The keys of CNI's dns object; what is no string, or holds a character that could write a second line, is told."""
    section.check_keys((*_LISTS, "domain"))
    nameservers, search, options = (
        tuple(
            text
            for i, node in enumerate(section.items(key, "strings") or ())
            if (text := section.text_of(node, f"{section.label(key)}[{i}]")) is not None
        )
        for key in _LISTS
    )
    return Dns(nameservers, section.text("domain") or "", search, options)
