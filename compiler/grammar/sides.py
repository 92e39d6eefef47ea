"""The YAML of one end of a rule in, a Side out: nets, ports, selectors, networks, as Calico's v3 grammar has them."""

from __future__ import annotations

import re

from calico_rkt.compiler.diagnostics import Span
from calico_rkt.compiler.grammar.headers import check_ports
from calico_rkt.compiler.ir.canonical import MOST_NETS, MOST_PORTS
from calico_rkt.compiler.ir.model import ANY_SIDE, NameRef, Net, PortRange, Side
from calico_rkt.compiler.ir.selector import Selector
from calico_rkt.compiler.ir.selector_parser import SelectorError, parse_selector
from calico_rkt.compiler.text.fields import Field, Form, Problems, Reasons, fields_of, items_of, node_kind, text_of
from calico_rkt.compiler.text.nodes import Scalar, Sequence
from calico_rkt.compiler.text.values import is_everything, parse_net, parse_network, parse_port, parsed

DEFINITION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

SIDE_KEYS = ("nets", "notNets", "selector", "notSelector", "ports", "notPorts")
_OUR_SIDE_KEYS = (*SIDE_KEYS, "network")
_NOT_IN_SIDES: Reasons = {
    "namespaceSelector": ("a network's endpoints have no namespaces, so this selects nobody or everybody",
                          "use selector on labels, or network: NAME"),
    "serviceAccounts": ("service accounts exist in Kubernetes only", "use selector on labels, or network: NAME"),
    "services": ("services exist in Kubernetes only", "name the addresses in nets, the ports in ports"),
    "domains": ("names of hosts are no part of open source Calico", "name the addresses in nets"),
}  # fmt: skip


class SideReader:
    """Reads the ends of one rule; protocol is the rule's number, None where it names none or it can't be read."""

    def __init__(self, form: Form, problems: Problems, protocol: int | None, *, protocol_failed: bool) -> None:
        self.form, self.problems, self.protocol, self.protocol_failed = form, problems, protocol, protocol_failed

    def side(self, field: Field | None) -> Side:
        if field is None:
            return ANY_SIDE
        name = field.key.text
        found = fields_of(
            field.value,
            SIDE_KEYS if self.form is Form.V3 else _OUR_SIDE_KEYS,
            name,
            self.problems,
            refused=_NOT_IN_SIDES,
            null_is_missing=self.form is Form.V3,
        )
        for key in ("ports", "notPorts"):
            # A protocol that could not be read has its own diagnostic; its ports are not to blame.
            if key in found and not self.protocol_failed:
                check_ports(found[key], self.protocol, "rule", self.problems)
        nets, not_nets = self._nets(found.get("nets")), self._nets(found.get("notNets"))
        return Side(
            nets=nets,
            not_nets=not_nets,
            ports=self._ports(found.get("ports")),
            not_ports=self._ports(found.get("notPorts")),
            selector=self._selector(found.get("selector")),
            not_selector=self._selector(found.get("notSelector")),
            networks=self._networks(found.get("network")),
        )

    def _list(self, field: Field, most: int) -> list[Scalar]:
        """The members of a list of nets or ports."""
        name, items = field.key.text, items_of(field.value, field.key.text, self.problems)
        if self.form is Form.V3 and len(items) > most:
            self.problems.error("CR326", f"{len(items)} {name}; Calico takes {most} in one field", field.key.span)
        if self.form is not Form.V3 and isinstance(field.value, Sequence) and not field.value.items:
            self._says_nothing(field)
        texts = (i if isinstance(i, Scalar) else text_of(i, f"an item of {name}", self.problems) for i in items)
        return [text for text in texts if text is not None]

    def _says_nothing(self, field: Field) -> None:
        hint = "leave the key out if nothing is to be constrained"
        self.problems.error("CR322", f"an empty {field.key.text} constrains nothing in Calico", field.key.span, hint)

    def _nets(self, field: Field | None) -> tuple[Net | NameRef, ...]:
        if field is None:
            return ()
        out: list[Net | NameRef] = []
        for text in self._list(field, MOST_NETS):
            found = self._reference(text) or parsed(text, parse_net, self.problems)
            if found is None:
                continue
            if not isinstance(found, NameRef):
                self._check_net(field, text, found, out)
            out.append(found)
        return tuple(out)

    def _check_net(self, field: Field, text: Scalar, net: Net, before: list[Net | NameRef]) -> None:
        name = field.key.text
        if name == "notNets" and is_everything(net):
            hint = f"ipVersion: {10 - net.version} says that a rule is not about IPv{net.version}"
            self.problems.error("CR316", f"{net} in notNets leaves no address", text.span, hint)
        first = before[0] if before else net
        if self.form is Form.V3 and not isinstance(first, NameRef) and first.version != net.version:
            hint = "one rule for each family, or calico-rkt's own form (network: NAME at the top), which splits them"
            self.problems.error("CR317", f"{name} mixes IPv4 and IPv6, which Calico refuses", text.span, hint)

    def _ports(self, field: Field | None) -> tuple[PortRange | NameRef, ...]:
        if field is None:
            return ()
        out: list[PortRange | NameRef] = []
        for text in self._list(field, MOST_PORTS):
            found = self._reference(text)
            if found is None and DEFINITION_NAME.fullmatch(text.text):
                reason = f"the named port {text.text!r} is not supported: endpoints here name no ports"
                self.problems.error("CR311", reason, text.span, "write its number")
                continue
            port = found or parsed(text, parse_port, self.problems)
            if port is not None:
                out.append(port)
        return tuple(out)

    def _reference(self, text: Scalar) -> NameRef | None:
        """A definition's name, where a value begins like one; only our own form has definitions."""
        if self.form is not Form.V3 and DEFINITION_NAME.fullmatch(text.text):
            return NameRef(text.text, text.span)
        return None

    def _selector(self, field: Field | None) -> Selector | None:
        if field is None:
            return None
        text = text_of(field.value, field.key.text, self.problems)
        if text is None:
            return None
        if not text.text.strip(" \t"):
            if self.form is not Form.V3:
                self._says_nothing(field)
            return None
        try:
            return parse_selector(text.text)
        except SelectorError as e:
            self.problems.error("CR321", f"{field.key.text}: {e.message}", _inside(text, e.offset))
            return None

    def _networks(self, field: Field | None) -> tuple[NameRef, ...]:
        """`network: X` or `network: [X, Y]`, which is an OR."""
        if field is None:
            return ()
        texts: list[Scalar]
        if isinstance(field.value, Sequence):
            texts = self._list(field, 0)
        elif isinstance(field.value, Scalar):
            texts = [field.value]
        else:
            self.problems.error("CR302", f"network must be a name, not {node_kind(field.value)}", field.value.span)
            return ()
        return tuple(NameRef(t.text, t.span) for t in texts if parsed(t, parse_network, self.problems))


def _inside(text: Scalar, offset: int) -> Span:
    """The place of one character of a value, where the value stands on its line as it is; else the value's."""
    span = text.span
    start = span.text.find(text.text, span.column - 1, span.end_column - 1) if text.text else -1
    if start < 0:
        return span
    column = start + min(offset, len(text.text)) + 1
    return Span(span.path, span.line, column, column + 1, span.text)
