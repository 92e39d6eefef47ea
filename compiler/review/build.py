"""A workspace in, its World out: all networks compiled, or none."""

from __future__ import annotations

from calico_rkt.compiler.diagnostics import CompileError, Diagnostic
from calico_rkt.compiler.ids import object_id
from calico_rkt.compiler.ir import Network
from calico_rkt.compiler.pipeline import resolve_network
from calico_rkt.compiler.review.parties import parties
from calico_rkt.compiler.review.world import World
from calico_rkt.compiler.workspace.policy import known_ids, policy_for
from calico_rkt.compiler.workspace.reader import Workspace


def build_world(workspace: Workspace) -> World:
    """Raises CompileError with all problems of all networks: no answer may rest on a part of the policy."""
    confs = {c.name: c for c in workspace.confs}
    found: list[Diagnostic] = list(workspace.diagnostics)
    networks: dict[str, Network] = {}
    known: frozenset[str] = frozenset(map(object_id, confs))
    for name, conf in confs.items():
        policy = policy_for(name, workspace.files)
        known |= known_ids(policy, workspace.files, tuple(confs))
        try:
            networks[name], diagnostics = resolve_network(conf, policy)
            found += diagnostics
        except CompileError as e:
            found += e.diagnostics
    found = list(dict.fromkeys(found))
    if any(d.is_error for d in found):
        raise CompileError(found)
    return World(
        workspace.where,
        networks,
        confs,
        workspace.files,
        frozenset(n.id for n in networks.values()),
        known,
        parties(networks, confs),
        tuple(found),
    )
