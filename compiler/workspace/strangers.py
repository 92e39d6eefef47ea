"""A policy and the networks of a host in; an error for each network in its rules that is none of them, out."""

from __future__ import annotations

from collections.abc import Collection

from calico_rkt.compiler.diagnostics import Diagnostic, error
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.workspace.policy import Policy, in_rules
from calico_rkt.compiler.workspace.taken import way_out


def strangers(policy: Policy, known_ids: Collection[str]) -> tuple[Diagnostic, ...]:
    """The errors; known_ids are the networks' ids. Where a host enforces by itself, no endpoint is in another one."""
    return tuple(
        error(
            "CR540",
            f"no conf here has the network {name.name!r}, so no rule can be about it",
            name.span,
            hint=way_out(object_id(name.name), name.name, known_ids, "put its conf here first"),
        )
        for name in in_rules(policy)
        if object_id(name.name) not in known_ids
    )


def enforced_ids(policy: Policy, here: frozenset[str]) -> frozenset[str]:
    """The ids that a selector may be about, of these networks and of those that strangers() tells anyhow."""
    return here.union(object_id(n.name) for n in in_rules(policy))
