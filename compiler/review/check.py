"""A workspace in, everything that is wrong or idle in its policy out."""

from __future__ import annotations

from calico_rkt.compiler.diagnostics import CompileError, Diagnostic
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.packets.budget import Budget
from calico_rkt.compiler.pipeline import felix_limits, resolve_network, targets_of
from calico_rkt.compiler.review.build import world_of
from calico_rkt.compiler.review.expect import outcome
from calico_rkt.compiler.review.lint_all import lint_all
from calico_rkt.compiler.review.progress import Progress
from calico_rkt.compiler.review.promises import problem, promises
from calico_rkt.compiler.review.readers import refused_versions
from calico_rkt.compiler.review.remarks import remarks
from calico_rkt.compiler.review.unmatched import unmatched
from calico_rkt.compiler.targets import TARGETS
from calico_rkt.compiler.targets.felix import JUDGED
from calico_rkt.compiler.workspace.assemble import Workspace
from calico_rkt.compiler.workspace.policy import findings, findings_of_tests, known_ids, policy_for
from calico_rkt.compiler.workspace.strangers import enforced_ids, strangers


def check_workspace(workspace: Workspace, progress: Progress | None = None) -> tuple[Diagnostic, ...]:
    """All problems of all confs and overrides, each once; rules that a target can't say are analysed all the same."""
    found: list[Diagnostic] = [*workspace.diagnostics, *(d for u in workspace.unusable for d in u.diagnostics)]
    found += refused_versions(workspace.confs, workspace.conf_paths)
    networks: dict[str, Network] = {}
    known_to: dict[str, frozenset[str]] = {}
    here = frozenset(map(object_id, workspace.every_name))
    for n, conf in enumerate(workspace.confs):
        if progress is not None:
            progress(n, len(workspace.confs), conf.name)
        files = workspace.files_of(conf.name)
        policy = policy_for(conf.name, files)
        known = known_ids(policy, files, workspace.every_name)
        local = conf.datastore_type == "local"
        found += strangers(policy, here) if local else ()
        found += (findings_of_tests if local else findings)(policy, files, workspace.every_name)
        try:
            network, said = resolve_network(conf, policy, felix=JUDGED)
        except CompileError as e:
            found += e.diagnostics
            continue
        found += (*said, *felix_limits(conf, network, policy))
        for target in targets_of(conf):
            try:
                TARGETS[target].check(network, known_ids=enforced_ids(policy, here))
            except CompileError as e:
                found += e.diagnostics
        networks[conf.name] = network
        known_to[conf.name] = known
    whole = len(networks) == len(workspace.confs)
    everyone = frozenset(i for ids in known_to.values() for i in ids)
    judged = frozenset(workspace.data)
    everybody = whole and not workspace.unusable
    if not everybody:
        # A line of the default rules may be what a network needs that does not compile, or whose conf can't be read.
        judged -= {f.path for f in workspace.files if f.settings}
    idle = list(lint_all([(networks[n], ids) for n, ids in known_to.items()], judged))
    found += (*idle, *remarks(workspace.files))
    if whole:
        world = world_of(workspace, networks, everyone)
        if everybody:
            found += unmatched(world, judged, frozenset(d.span for d in idle if d.span and d.code != "CR804"))
        budget = Budget.of_an_answer()
        found += (d for p in promises(world) if (d := problem(p, outcome(world, p.expectation, budget))) is not None)
    return tuple(dict.fromkeys(found))
