"""A workspace in, its World out: all networks compiled, or none."""

from __future__ import annotations

from dataclasses import replace

from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, raise_errors
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.pipeline import resolve_network
from calico_rkt.compiler.review.parties import parties
from calico_rkt.compiler.review.refused import refused
from calico_rkt.compiler.review.snapshot import World
from calico_rkt.compiler.targets.felix import Nodes
from calico_rkt.compiler.workspace.assemble import Workspace
from calico_rkt.compiler.workspace.policy import known_ids, policy_for


def build_world(workspace: Workspace, *, felix: Nodes | None = None) -> World:
    """The world alone, as built() makes it."""
    return built(workspace, felix=felix)[1]


def built(workspace: Workspace, *, felix: Nodes | None = None) -> tuple[Workspace, World]:
    """Its world, and the workspace that knows which rules apply refuses: answers say so beside them.

    Raises CompileError with all problems of all networks: no answer may rest on a part of the policy. felix as in
    resolve_network.
    """
    if not workspace.confs:
        raise_errors(d for u in workspace.unusable for d in u.diagnostics)
    found: list[Diagnostic] = list(workspace.diagnostics)
    networks: dict[str, Network] = {}
    known: frozenset[str] = frozenset()
    here = frozenset(map(object_id, workspace.every_name))
    strange: list[Diagnostic] = []
    for conf in workspace.confs:
        files = workspace.files_of(conf.name)
        policy = policy_for(conf.name, files)
        known |= known_ids(policy, files, workspace.every_name)
        try:
            networks[conf.name], diagnostics = resolve_network(conf, policy, felix=felix)
            found += diagnostics
            strange += refused(conf, networks[conf.name], policy, here)
        except CompileError as e:
            found += e.diagnostics
    raise_errors(dict.fromkeys(found))
    return replace(workspace, refused=tuple(dict.fromkeys(strange))), world_of(workspace, networks, known)


def world_of(workspace: Workspace, networks: dict[str, Network], known: frozenset[str]) -> World:
    """The world of networks that are compiled; known as in known_ids."""
    confs = {c.name: c for c in workspace.confs}
    own = frozenset(n.id for n in networks.values())
    return World(
        workspace.where,
        networks,
        confs,
        workspace.files,
        own,
        known,
        parties(networks, confs),
        texts=workspace.data,
        unreadable={u.name: u.words for u in workspace.unusable if u.name and u.name not in networks},
    )
