"""The host's files and what is published in; the world that is in force, with lines where the files say it, out."""

from __future__ import annotations

from calico_rkt.compiler.diagnostics import Diagnostic
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.review.build import build_world, world_of
from calico_rkt.compiler.review.refused import refused
from calico_rkt.compiler.review.snapshot import World
from calico_rkt.compiler.targets.calico_v3.form import digest_in_form
from calico_rkt.compiler.workspace.policy import policy_for
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.publish.host_confs import Decided
from calico_rkt.plugin.publish.local import LOCAL
from calico_rkt.plugin.store.local import LocalStore


def world_in_force(
    host: Decided, store: LocalStore
) -> tuple[World, tuple[str, ...], dict[str, tuple[Diagnostic, ...]]]:
    """The networks as they are published, and in words where that is not what the files say.

    Third are, by its name, the errors of each network that is as the files say and that apply would refuse. A network
    of the host's own that has the digest of its files is theirs, lines and all. Networks of a cluster are as the files
    say. Raises CompileError where the files can't be compiled.
    """
    files = build_world(host.workspace)
    networks, notes = dict(files.networks), []
    strange: dict[str, tuple[Diagnostic, ...]] = {}
    here = frozenset(map(object_id, host.workspace.every_name))
    for name, network in files.networks.items():
        if files.confs[name].datastore_type != LOCAL:
            notes.append(f"{name}: on a cluster; this is what the files say")
            continue
        try:
            published = store.network(object_id(name))
        except CniError as e:
            notes.append(f"{name}: {e.msg}; this is what the files say")
            strange[name] = _refused(host, network, here)
            continue
        if published is None:
            strange[name] = _refused(host, network, here)
            notes.append(f"{name}: not published yet; this is what the files say")
        elif digest(published) != digest_in_form(network):
            networks[name] = published
            notes.append(f"{name}: what is in force is not what the files say (no lines are named): calico-rkt apply")
    return world_of(host.workspace, networks, files.known), tuple(notes), strange


def _refused(host: Decided, network: Network, here: frozenset[str]) -> tuple[Diagnostic, ...]:
    return refused(host.known[network.name], network, policy_for(network.name, host.files[network.name]), here)
