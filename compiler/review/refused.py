"""A compiled network in; the errors of its rules about labels that no endpoint of this host can carry, out.

No host publishes such rules, so an answer about them has to say it.
"""

from __future__ import annotations

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.ir.rule_parts import labels_of, selectors_of
from calico_rkt.compiler.workspace.policy import Policy
from calico_rkt.compiler.workspace.strangers import enforced_ids, strangers


def refused(conf: NetConf, network: Network, policy: Policy, here: frozenset[str]) -> tuple[Diagnostic, ...]:
    """CR540 of each; nothing on a cluster, whose endpoints have other labels, too. here are the ids of all networks."""
    if conf.datastore_type != "local":
        return ()
    known = enforced_ids(policy, here)
    found = strangers(policy, here)
    if labels_of(selectors_of((*network.ingress, *network.egress))) <= known:
        return found
    # Here, not above: nearly no answer needs it.
    from calico_rkt.compiler.targets.nftables.write import check_nftables

    try:
        check_nftables(network, known_ids=known)
    except CompileError as e:
        found += tuple(d for d in e.diagnostics if d.code == "CR540")
    return found
