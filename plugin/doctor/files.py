"""What `status` says of this host's confs and overrides in; the same with what follows and what cures it out."""

from __future__ import annotations

import shlex

from calico_rkt.compiler.diagnostics import Diagnostic
from calico_rkt.plugin.doctor.cures import RESTORE
from calico_rkt.plugin.doctor.finding import Check, Finding, Place
from calico_rkt.plugin.doctor.host import Host

_FOLLOWS = {
    "CR223": "rkt knows no such network",
    "CR706": "what it says is in force nowhere",
    "CR707": "what it says is in force nowhere, whatever its readers think",
    "CR709": "reviewers read other rules than those that count; apply refuses",
    "CR710": "which of the two counts depends on the runtime",
    "CR724": "no container can be started in that network",
}
_CURES = {
    "CR724": (RESTORE, True),
    "CR706": ("rm {path}", False),
    "CR223": ("mv {path} {bare}.conf", False),
}
"""Commands in place of a hint, and whether they take nothing away."""


def files(host: Host) -> Check:
    """What exists and is not used, and what can't be used."""
    told = host.decided.told()
    yield from map(_finding, told)
    if not told:
        yield f"{len(host.decided.known)} networks have confs, and every file beside them counts"


def _finding(d: Diagnostic) -> Finding:
    path = d.span.path if d.span else d.path
    place = Place(path, d.span.line if d.span else 0) if path else None
    follows = _FOLLOWS.get(d.code, "its network can't be used" if d.is_error else "it is not as it looks")
    cure, harmless = _CURES.get(d.code, ("", False))
    if cure:
        bare = path.rpartition(".")[0]
        cure = cure.format(path=shlex.quote(path), bare=shlex.quote(bare))
        return Finding(d.code, d.severity, d.message, follows, cure, place, harmless=harmless)
    advice = d.hint or f"calico-rkt rule {d.code}"
    return Finding(d.code, d.severity, d.message, follows, advice, place, advice=bool(d.hint))
