"""Fields of packets' headers, as a rule and a test say them, in; ICMP types, and whether ports may stand there, out."""

from __future__ import annotations

from calico_rkt.compiler.ir.model import ICMP, ICMPV6, PORT_PROTOCOLS, Icmp
from calico_rkt.compiler.text.fields import Field, Problems, fields_of
from calico_rkt.compiler.text.nodes import Mapping
from calico_rkt.compiler.text.values import parse_number, value_of


def read_icmp(field: Field, protocol: int | None, problems: Problems, *, null_is_missing: bool = False) -> Icmp | None:
    """`{type: 8}`, or with a code; None where it is wrong. protocol is the number that stands beside it."""
    name = field.key.text
    found = fields_of(field.value, ("type", "code"), name, problems, null_is_missing=null_is_missing)
    kind = value_of(found.get("type"), lambda t: parse_number(t, "an ICMP type", 0, 254, "CR318"), problems)
    code = value_of(found.get("code"), lambda t: parse_number(t, "an ICMP code", 0, 255, "CR318"), problems)
    if protocol not in (ICMP, ICMPV6):
        hint = "protocol: ICMP or ICMPv6 beside it"
        problems.error("CR319", f"{name} needs a protocol that has types", field.key.span, hint)
    if "type" not in found and isinstance(field.value, Mapping):
        problems.error("CR304", f"{name} without type", field.key.span, "such as type: 8 (echo request)")
    return Icmp(kind, code) if kind is not None else None


def check_ports(field: Field, protocol: int | None, each: str, problems: Problems) -> None:
    """An error where the protocol beside a field of ports is none that has ports; each: what one is of, as `rule`."""
    if protocol in PORT_PROTOCOLS:
        return
    said = "this protocol has none" if protocol else f"the {each} names no protocol"
    hint = f"protocol: TCP, UDP or SCTP beside it; one {each} for each"
    problems.error("CR312", f"{field.key.text} where {said}", field.key.span, hint)
