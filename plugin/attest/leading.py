"""A part of a rule, or a chain, of a table in; the chains and sets that it speaks of, and where it may lead, out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from calico_rkt.plugin.attest.ruleset import Chain, Table


def mentioned(statement: Mapping[str, object], table: Table) -> Iterator[str]:
    """Chains and sets that a part of a rule speaks of."""
    ((kind, value),) = statement.items()
    if kind in ("jump", "goto"):
        yield value["target"]  # type: ignore[index]
    elif kind == "match" and isinstance(value, dict) and isinstance(value["right"], str):
        yield value["right"].removeprefix("@")
    elif kind == "vmap" and isinstance(value, dict):
        data = value["data"]
        if isinstance(data, str):
            name = data.removeprefix("@")
            yield name
            verdicts = list(table.sets[name].elements.values()) if name in table.sets else []
        else:
            verdicts = [f"{k} {v['target']}" for _, to in data["set"] for k, v in to.items() if v]
        yield from dict.fromkeys(v.partition(" ")[2] for v in verdicts if " " in v)


def led_to(table: Table, chain: Chain) -> tuple[Chain, ...]:
    """The chain and all that its rules may lead to."""
    found: dict[str, Chain] = {}
    left = [chain.name]
    while left:
        name = left.pop()
        if name in table.chains and name not in found:
            found[name] = table.chains[name]
            for rule in table.chains[name].rules:
                left += (other for statement in rule.statements for other in mentioned(statement, table))
    return tuple(found.values())
