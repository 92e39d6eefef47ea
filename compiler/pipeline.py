"""A conf and the files beside it in, the network's compiled and proven profile out: the one door of the compiler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error, raise_errors
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.model import Action, Network
from calico_rkt.compiler.passes import run_passes
from calico_rkt.compiler.passes.lower import lower
from calico_rkt.compiler.targets import TARGETS
from calico_rkt.compiler.values import dataclass
from calico_rkt.compiler.workspace.policy import Policy, parse_files, policy_for

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.overrides import File
    from calico_rkt.compiler.targets.felix import Nodes

PROFILE, LOCAL, OLD_CALICO = "calico-v3", "nftables", "calico-v1"
"""The target that profiles are published in; those that enforce them without Calico, and with that of 2015."""
_ENFORCED = {"local": LOCAL, "etcdv2": OLD_CALICO}
"""What enforces a conf's networks has to be able to say them, too, by the conf's datastore."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A network, its text on one target, and its digest; diagnostics are warnings and notes only.

    written is the network in the form of the text, which is what the digest is of: the same where the text says it rule
    by rule.
    """

    network: Network
    written: Network
    text: str
    policy: Policy
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def digest(self) -> str:
        return digest(self.written)


def resolve_network(
    conf: NetConf, policy: Policy, findings: Iterable[Diagnostic] = (), *, felix: Nodes | None = None
) -> tuple[Network, tuple[Diagnostic, ...]]:
    """The network with every name resolved, for no target yet, and what is to be said about it, no error among it.

    felix is what is known of a cluster's nodes; None: what the settings say of them. Raises CompileError with every
    problem found, those of policy and findings included.
    """
    network, found = run_passes(lower(conf.name, policy.override, policy.defaults), policy.definitions)
    logs = any(r.action is Action.LOG for r in (*network.ingress, *network.egress))
    if policy.log_limit is not None and logs and conf.datastore_type == "local":
        network = replace(network, log_limit=policy.log_limit)
    diagnostics = (*policy.diagnostics, *findings, *found, *_to_host_on_a_cluster(conf, policy))
    diagnostics = (*diagnostics, *felix_limits(conf, network, policy, felix))
    raise_errors(diagnostics)
    return network, diagnostics


def compile_network(
    conf: NetConf,
    policy: Policy,
    target: str = PROFILE,
    findings: Iterable[Diagnostic] = (),
    *,
    known_ids: frozenset[str] | None = None,
    felix: Nodes | None = None,
) -> Compiled:
    """Compile, write for one target, and prove by reading back that the text says what the rules say.

    known_ids are the ids of all networks here, where they are known; nftables refuses a label of none of them.
    felix as in resolve_network. Raises CompileError with every problem found, those of policy and findings included.
    """
    network, diagnostics = resolve_network(conf, policy, findings, felix=felix)
    try:
        written, text = _proven(network, target, known_ids)
    except CompileError as e:
        raise CompileError((*diagnostics, *e.diagnostics)) from e
    return Compiled(network, written, text, policy, diagnostics)


def write_proven(network: Network, target: str, known_ids: frozenset[str] | None = None) -> str:
    """The network's text on a target; CR601 where that text, read back, is another policy."""
    return _proven(network, target, known_ids)[1]


def _proven(network: Network, target: str, known_ids: frozenset[str] | None) -> tuple[Network, str]:
    """The network in the target's form, and its text."""
    written = TARGETS[target].form(network)
    text = TARGETS[target].writer(written, known_ids)
    difference = TARGETS[target].differs(network, text)
    if difference is not None:
        hint = "this is a fault of the compiler; nothing was written"
        message = f"what {target} says of network {network.name!r} is not what its rules say: {difference}"
        raise CompileError([error("CR601", message, hint=hint)])
    return written, text


def compile_for_host(
    conf: NetConf,
    files: Mapping[str, bytes] | Sequence[File],
    known_ids: frozenset[str] | None = None,
    *,
    felix: Nodes | None = None,
) -> Compiled:
    """The canonical Calico v3 profile of a conf, with the host's override files: bytes by path, or what these say.

    Where this host enforces by itself, nftables is proven to be able to say it, too, with known_ids as in
    compile_network (an ADD sees one conf only and gives none); where Felix of 2015 does, calico-v1 is. Raises
    CompileError.
    """
    policy = _policy_of(conf, files)
    compiled = compile_network(conf, policy, findings=_strangers(conf, policy, known_ids), felix=felix)
    for target in targets_of(conf)[1:]:
        write_proven(compiled.written, target, known_ids)
    return compiled


def digest_for_host(
    conf: NetConf,
    files: Mapping[str, bytes] | Sequence[File],
    known_ids: frozenset[str] | None = None,
    *,
    felix: Nodes | None = None,
) -> str:
    """The digest that compile_for_host would give; what can't be said raises here as there.

    No text is made, and so none is proven: for who has a text of this digest, and has read back what it says.
    """
    policy = _policy_of(conf, files)
    network, diagnostics = resolve_network(conf, policy, _strangers(conf, policy, known_ids), felix=felix)
    try:
        written = TARGETS[PROFILE].form(network)
        TARGETS[PROFILE].check(written)
    except CompileError as e:
        raise CompileError((*diagnostics, *e.diagnostics)) from e
    for target in targets_of(conf)[1:]:
        TARGETS[target].check(written, known_ids=known_ids)
    return digest(written)


def targets_of(conf: NetConf) -> tuple[str, ...]:
    """The targets that have to be able to say a conf's network: that of its profile first."""
    enforced = _ENFORCED.get(conf.datastore_type)
    return (PROFILE, enforced) if enforced else (PROFILE,)


def _policy_of(conf: NetConf, files: Mapping[str, bytes] | Sequence[File]) -> Policy:
    return policy_for(conf.name, parse_files(files, conf.name) if isinstance(files, Mapping) else files)


def _strangers(conf: NetConf, policy: Policy, known_ids: frozenset[str] | None) -> tuple[Diagnostic, ...]:
    if known_ids is None or conf.datastore_type != "local":
        return ()
    from calico_rkt.compiler.workspace.strangers import strangers  # an ADD knows no other network

    return strangers(policy, known_ids)


def felix_limits(conf: NetConf, network: Network, policy: Policy, felix: Nodes | None = None) -> tuple[Diagnostic, ...]:
    """What would stop Felix on a node of today's Calico: errors, where such a node may be."""
    if conf.datastore_type != "etcdv3":
        return ()
    # Here, not above: a host that enforces by itself has no Felix.
    from calico_rkt.compiler.targets.felix import ANY, Nodes, unfit

    nodes = felix or ANY
    if policy.felix is not None and not nodes.sure:
        nodes = Nodes(policy.felix, "settings: felix names nftables")
    return tuple(unfit(network, nodes))


def _to_host_on_a_cluster(conf: NetConf, policy: Policy) -> tuple[Diagnostic, ...]:
    override = policy.override
    if override is None or override.endpoint_to_host is None or conf.datastore_type == "local":
        return ()
    message = f"endpoint_to_host is Felix's own setting on a Calico cluster (datastore_type {conf.datastore_type})"
    hint = "set defaultEndpointToHostAction in the FelixConfiguration, and take it out here"
    return (error("CR407", message, override.to_host_span, hint=hint),)
