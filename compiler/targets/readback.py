"""What every reader gives: the policy that a target's text holds, by the target's own semantics."""

from __future__ import annotations

from calico_rkt.compiler.diagnostics import CompileError, error
from calico_rkt.compiler.ir.canonical import LINES, digest
from calico_rkt.compiler.ir.model import LogLimit, Network, Rule, ToHost
from calico_rkt.compiler.values import dataclass


@dataclass(frozen=True, slots=True)
class ReadBack:
    """A text read back. labels are the label keys (v1: tags) that its endpoints carry.

    name and digest are empty, and endpoint_to_host and log_limit are None, where the text does not say them. form is
    that of the rules, as the text says it. ended are the directions where a chain of some packets has its own end: what
    its rules leave is denied there by a rule, as everything is in the end.
    """

    id: str
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]
    labels: tuple[str, ...]
    name: str = ""
    digest: str = ""
    endpoint_to_host: ToHost | None = None
    log_limit: LogLimit | None = None
    form: int = LINES
    ended: tuple[str, ...] = ()


def wanted(network: Network) -> ReadBack:
    """What a text that says all of the network reads back as, where no rule had to be split."""
    return ReadBack(
        id=network.id,
        ingress=network.ingress,
        egress=network.egress,
        labels=(network.id,),
        name=network.name,
        digest=digest(network),
        endpoint_to_host=network.endpoint_to_host,
        log_limit=network.log_limit,
        form=network.form,
    )


def unreadable(target: str, message: str) -> CompileError:
    """The error of a text that is not what its target takes."""
    return CompileError([error("CR510", f"this is no {target} text of a profile: {message}")])
