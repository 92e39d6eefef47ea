"""A chain of a network and the number of a rule in it in; the file and line that it came from out.

What is in the kernel was made of the published profile, and that of the files: where both still are what they were,
each rule is followed back through both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.canonical import LINES, digest
from calico_rkt.compiler.ir.evaluate import Packet as Opening
from calico_rkt.compiler.ir.evaluate import evaluate
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Network, Rule
from calico_rkt.compiler.pipeline import resolve_network
from calico_rkt.compiler.review.rule_lines import describe
from calico_rkt.compiler.review.wording import place
from calico_rkt.compiler.targets.by_rule import by_member, origins
from calico_rkt.compiler.targets.calico_v3.form import digest_in_form
from calico_rkt.compiler.targets.nftables.write import rule_of_each_line
from calico_rkt.compiler.workspace.policy import Policy, policy_for
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.publish.host_confs import Decided
from calico_rkt.plugin.store.local import LocalStore

DIRECTIONS = {"out": "egress", "in": "ingress"}
STALE = "the files say something else by now: calico-rkt apply"


@dataclass(frozen=True, slots=True)
class Decision:
    """What decided: stage as explain calls it (`ingress of web`), rule in words, line as `path:line` or empty.

    note says what has to be known of it; empty where nothing has.
    """

    stage: str
    rule: str
    line: str = ""
    note: str = ""


class Lines:
    """Where rules of networks came from; each network is looked at once."""

    def __init__(self, host: Decided, store: LocalStore) -> None:
        self._host = host
        self._store = store
        self._networks: dict[str, _Network | None] = {}

    def of(self, chain: str, number: int, opening: Opening) -> Decision | None:
        """What a rule of chain out-ID, in-ID or host-ID is to a packet; None where the chain is none of these."""
        main, led, _ = chain.partition("/")
        kind, _, network_id = main.partition("-")
        if kind not in (*DIRECTIONS, "host") or not network_id:
            return None
        if network_id not in self._networks:
            self._networks[network_id] = self._network(network_id)
        network = self._networks[network_id]
        name = network.published.name if network else network_id
        if kind == "host":
            return _to_host(name, network)
        stage = f"{DIRECTIONS[kind]} of {name}"
        if network is None:
            return Decision(
                stage,
                f"rule {number + 1} of its chain",
                "",
                "its published profile can't be used, or others' rules are in force: calico-rkt status",
            )
        return network.decision(stage, DIRECTIONS[kind], None if led else number, opening)

    def _network(self, network_id: str) -> _Network | None:
        try:
            published = self._store.network(network_id)
        except CniError:
            return None
        if published is None or not digest(published).endswith(self._live.get(network_id) or "-"):
            return None
        conf = next((c for n, c in self._host.known.items() if object_id(n) == network_id), None)
        if conf is None:
            return _Network(published)
        policy = policy_for(conf.name, self._host.files.get(conf.name, ()))
        try:
            network, _ = resolve_network(conf, policy)
        except CompileError:
            return _Network(published)
        same = digest_in_form(network) == digest(published)
        return _Network(published, network, policy) if same else _Network(published)

    @cached_property
    def _live(self) -> dict[str, str]:
        return {n.network_id: n.digest for n in table.live_networks()}


@dataclass(frozen=True)
class _Network:
    """A network as it is in force, and as the files have it, where that is the same."""

    published: Network
    files: Network | None = None
    policy: Policy | None = None

    def decision(self, stage: str, direction: str, number: int | None, opening: Opening) -> Decision:
        """number: of a line in the direction's own chain; None in one for some ports: the packet says which line."""
        rules = self._rules[direction]
        note = "" if self.files else STALE
        rule = rules[number] if number is not None and number < len(rules) else None
        if rule is None and (number is None or number < len(rules)):
            rule = evaluate(getattr(self.files or self.published, direction), opening).rule
        if rule is None:
            return Decision(stage, *self._nothing_allows(), note)
        return Decision(stage, describe(rule), place(rule.span) if self.files else "", note)

    @cached_property
    def _rules(self) -> dict[str, tuple[Rule | None, ...]]:
        """By direction the rule of each line in the kernel: the files' own, where they say the same.

        None of a map, and of a line that says several of the files' rules: which of them decides, the packet says.
        """
        found = {}
        for direction in DIRECTIONS.values():
            written: tuple[Rule, ...] = getattr(self.published, direction)
            own: dict[int, Rule | None] = dict(zip(map(id, written), written, strict=True))
            if self.files is not None and self.published.form != LINES:
                own = dict.fromkeys(own)
            elif self.files is not None:
                came_from = origins(getattr(self.files, direction), written, by_member)
                own |= {id(rule): source or rule for rule, source in zip(written, came_from, strict=True)}
            lines = rule_of_each_line(written, self.published)
            found[direction] = tuple(None if rule is None else own[id(rule)] for rule in lines)
        return found

    def _nothing_allows(self) -> tuple[str, str]:
        """In words, with the place of the override that lacks such a rule."""
        if self.policy is None:
            return "no rule allows it", ""
        override = self.policy.override
        if override is None:
            return f"no rule allows it (no override; default rules: {self.policy.defaults.name})", ""
        return "no rule allows it", place(override.span)


def _to_host(name: str, network: _Network | None) -> Decision:
    if network is None:
        return Decision(f"endpoint_to_host of {name}", "its chain", "", "calico-rkt status")
    override = network.policy.override if network.policy else None
    span = override.to_host_span if override else None
    said = network.published.endpoint_to_host.value
    rule = f"endpoint_to_host: {said}" + ("" if span else " (nothing says otherwise)")
    return Decision(f"what {name} sends to the host", rule, place(span), "" if network.files else STALE)
