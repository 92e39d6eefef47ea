"""One YAML file of a workspace in, what it says out: an Override in either form, definitions, settings, guardrails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field, replace
from typing import TYPE_CHECKING

from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, Span
from calico_rkt.compiler.grammar.rules import SELF, Item, parse_rules
from calico_rkt.compiler.ir.canonical import (
    ANNOTATION_LOG_LIMIT,
    ANNOTATION_NETWORK,
    ANNOTATION_TO_HOST,
    API_VERSION,
    KIND,
)
from calico_rkt.compiler.ir.ids import LONGEST, object_id
from calico_rkt.compiler.ir.model import MOST_LOG_LINES, LogLimit, NameRef, Rule, ToHost
from calico_rkt.compiler.text.fields import Field, Form, Problems, did_you_mean, fields_of, node_kind, text_of
from calico_rkt.compiler.text.nodes import Mapping, Node, Scalar, is_null
from calico_rkt.compiler.text.values import BadValueError, parse_network, parse_number
from calico_rkt.compiler.text.yaml_nodes import parse_yaml
from calico_rkt.compiler.values import dataclass

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.definitions import Definitions
    from calico_rkt.compiler.grammar.expectations import Expectation
    from calico_rkt.compiler.grammar.guardrails import Guardrails
    from calico_rkt.compiler.grammar.settings import Settings


_HASH = r"-[0-9a-f]{8}\Z"
OVERRIDE_KEYS = ("network", "ingress", "egress", "endpoint_to_host", "tests")
SHARED_KEYS = ("definitions", "settings", "guardrails")
PROFILE_KEYS = ("apiVersion", "kind", "metadata", "spec")
_KINDS = (
    "network: NAME (an override), definitions:, settings:, guardrails:, "
    "or apiVersion: projectcalico.org/v3 with kind: Profile"
)


@dataclass(frozen=True, slots=True)
class Override:
    """What a reviewed file says about one network.

    network is the network's own name where the file says it; a plain Calico Profile says the id only. A direction
    is None where our form leaves it out: the default rules alone. endpoint_to_host is None where nothing is said, and
    so is log_limit, which a profile that was printed says in an annotation.
    """

    form: Form
    network: str
    network_id: str
    ingress: tuple[Item, ...] | None
    egress: tuple[Item, ...] | None
    endpoint_to_host: ToHost | None = None
    log_limit: LogLimit | None = None
    tests: tuple[Expectation, ...] = ()
    span: Span | None = field(default=None, compare=False)
    to_host_span: Span | None = field(default=None, compare=False)

    def mentioned_networks(self) -> Iterator[NameRef]:
        """Every network's name that a rule or a test uses, with its place."""
        yield from self.ruled_networks()
        yield from self.tested_networks()

    def ruled_networks(self) -> Iterator[NameRef]:
        """The same of rules alone."""
        for item in (*(self.ingress or ()), *(self.egress or ())):
            if isinstance(item, Rule):
                yield from (*item.match.source.networks, *item.match.destination.networks)

    def tested_networks(self) -> Iterator[NameRef]:
        """The same of tests alone."""
        for test in self.tests:
            yield from test.mentioned_networks()


@dataclass(frozen=True, slots=True)
class File:
    """One file of profiles/, known by its content. owner is the id of the one network that it is about.

    owner None: it concerns every network, or nobody can tell, because it can't be read that far.
    """

    path: str
    owner: str | None = None
    override: Override | None = None
    definitions: Definitions | None = None
    settings: Settings | None = None
    guardrails: Guardrails | None = None
    diagnostics: tuple[Diagnostic, ...] = ()


def parse_file(path: str, data: bytes, network_id: str | None = None) -> File:
    """What the file is and says, with everything that is wrong with it; raises nothing.

    network_id: of the one network that is asked about: of another's override no rule is read, and override is None.
    """
    twice: list[Diagnostic] = []
    try:
        root = parse_yaml(path, data, twice)
    except CompileError as e:
        return File(path, diagnostics=(*twice, *e.diagnostics))
    found = _parsed(path, root, network_id)
    # Of two keys of one name nobody knows which was meant: `network` may be one of them.
    return replace(found, owner=None, diagnostics=(*twice, *found.diagnostics)) if twice else found


def _parsed(path: str, root: Node, network_id: str | None) -> File:
    problems = Problems()
    keys = [key.text for key, _ in root.entries] if isinstance(root, Mapping) else []
    override: Override | None = None
    owner: str | None = None
    if "network" in keys:
        owner, override = _parse_ours(root, problems, network_id)
    elif "apiVersion" in keys or "kind" in keys:
        owner, override = _parse_profile(root, problems)
    elif any(key in keys for key in SHARED_KEYS):
        return _parse_shared(path, root, problems)
    else:
        _unknown(root, problems)
    return File(path, owner, override, diagnostics=tuple(problems.found))


def _parse_shared(path: str, root: Node, problems: Problems) -> File:
    # Here, not above: most workspaces have one such file or none, and a compile waits for every import.
    from calico_rkt.compiler.grammar.definitions import parse_definitions
    from calico_rkt.compiler.grammar.guardrails import parse_guardrails
    from calico_rkt.compiler.grammar.settings import parse_settings

    found = fields_of(root, SHARED_KEYS, "a file of definitions, settings or guardrails", problems)
    return File(
        path,
        definitions=parse_definitions(found["definitions"], problems) if "definitions" in found else None,
        settings=parse_settings(found["settings"], problems) if "settings" in found else None,
        guardrails=parse_guardrails(found["guardrails"], problems) if "guardrails" in found else None,
        diagnostics=tuple(problems.found),
    )


def _unknown(root: Node, problems: Problems) -> None:
    what = "the file is empty" if is_null(root) else f"a file of profiles has to be a mapping, not {node_kind(root)}"
    span = root.span
    if isinstance(root, Mapping):
        first = root.entries[0][0] if root.entries else None
        what, span = "nothing says what this file is", first.span if first else root.span
    problems.error("CR330", what, span, f"it begins with one of {_KINDS}")


def _parse_ours(root: Node, problems: Problems, wanted: str | None) -> tuple[str | None, Override | None]:
    found = fields_of(root, OVERRIDE_KEYS, "an override", problems)
    name = text_of(found["network"].value, "network", problems) if "network" in found else None
    if name is None:
        return None, None
    try:
        parse_network(name.text)
    except BadValueError as e:
        problems.error(e.code, e.message, name.span, e.hint)
        return None, None
    network_id = object_id(name.text)
    if wanted not in (None, network_id):
        return network_id, None
    to_host = found.get("endpoint_to_host")
    override = Override(
        form=Form.OURS,
        network=name.text,
        network_id=network_id,
        ingress=parse_rules(found["ingress"], Form.OURS, problems) if "ingress" in found else None,
        egress=parse_rules(found["egress"], Form.OURS, problems) if "egress" in found else None,
        endpoint_to_host=_to_host(to_host.value, problems) if to_host else None,
        tests=_tests(found["tests"], problems) if "tests" in found else (),
        span=name.span,
        to_host_span=to_host.key.span if to_host else None,
    )
    for mentioned in override.mentioned_networks():
        if mentioned.name == SELF and override.network != SELF:
            message = f"`{SELF}` stands in default rule sets only; here it would be a network of that name"
            problems.error("CR325", message, mentioned.span, f"write network: {override.network}")
    return network_id, override


def _tests(section: Field, problems: Problems) -> tuple[Expectation, ...]:
    from calico_rkt.compiler.grammar.expectations import parse_tests

    return parse_tests(section, problems)


def _to_host(node: Node, problems: Problems) -> ToHost | None:
    text = text_of(node, "endpoint_to_host", problems)
    known = {t.value: t for t in ToHost}
    if text and text.text not in known:
        hint = did_you_mean(text.text, known)
        problems.error("CR305", f"endpoint_to_host has no {text.text!r}", text.span, hint)
    return known.get(text.text) if text else None


def _parse_profile(root: Node, problems: Problems) -> tuple[str | None, Override | None]:
    """A Profile as `calicoctl get profile NAME -o yaml` prints it, with Calico's meaning."""
    found = fields_of(root, PROFILE_KEYS, "a Calico Profile", problems, null_is_missing=True)
    for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        entry = found.get(key)
        if entry is None:
            problems.error("CR332", f"a Calico resource without {key}", root.span, f"{key}: {wanted}")
        elif not isinstance(entry.value, Scalar) or entry.value.text != wanted:
            shown = entry.value.text if isinstance(entry.value, Scalar) else node_kind(entry.value)
            hint = f"{key}: {wanted}; one Profile a file, no list and no other resource"
            problems.error("CR332", f"{key} is {shown!r}, which is no Calico v3 Profile", entry.value.span, hint)
    name, annotations = _metadata(found.get("metadata"), root, problems)
    if name is None:
        return None, None
    network_id = name.text
    if not _is_id(network_id):
        hint = f"the profile of the network {network_id!r} is named {object_id(network_id)}"
        problems.error("CR333", f"{network_id!r} is not what any network is called on Calico", name.span, hint)
        # Whose it is meant to be is plain enough to stop that network from getting the default rules.
        return object_id(network_id), None
    network = annotations.get(ANNOTATION_NETWORK, name)
    if network is not name and object_id(network.text) != network_id:
        hint = f"that network's id is {object_id(network.text)}: one of the two is wrong"
        problems.error("CR333", f"the annotation says the network {network.text!r}", network.span, hint)
    to_host = annotations.get(ANNOTATION_TO_HOST)
    spec = _spec(found.get("spec"), network_id, root, problems)
    override = Override(
        form=Form.V3,
        network=network.text,
        network_id=network_id,
        ingress=parse_rules(spec["ingress"], Form.V3, problems) if "ingress" in spec else (),
        egress=parse_rules(spec["egress"], Form.V3, problems) if "egress" in spec else (),
        endpoint_to_host=_to_host(to_host, problems) if to_host else None,
        log_limit=_log_limit(annotations.get(ANNOTATION_LOG_LIMIT), problems),
        span=name.span,
        to_host_span=to_host.span if to_host else None,
    )
    return network_id, override


def _log_limit(given: Scalar | None, problems: Problems) -> LogLimit | None:
    if given is None:
        return None
    rate, _, burst = given.text.partition("/")
    try:
        return LogLimit(*(parse_number(text, "a log limit", 1, MOST_LOG_LINES, "CR225") for text in (rate, burst)))
    except BadValueError as e:
        message = f"the log limit {given.text!r} is no two numbers from 1 to {MOST_LOG_LINES}"
        problems.error(e.code, message, given.span, "RATE/BURST, such as 10/50")
    return None


def _is_id(name: str) -> bool:
    """Whether object_id gives this for some network: a name that Calico takes, or such a name with our hash."""
    hashed = re.search(_HASH, name)
    return object_id(name) == name or (len(name) <= LONGEST and hashed is not None and _is_id(name[: hashed.start()]))


def _metadata(entry: Field | None, root: Node, problems: Problems) -> tuple[Scalar | None, dict[str, Scalar]]:
    """The profile's name and its annotations; the rest of metadata belongs to the datastore."""
    if entry is None or not isinstance(entry.value, Mapping):
        span = entry.key.span if entry else root.span
        problems.error("CR304", "a Calico Profile without metadata", span, "metadata: {name: ID}")
        return None, {}
    given = entry.value.get("name")
    name = text_of(given, "metadata.name", problems) if given else None
    if given is None:
        problems.error("CR304", "metadata without name", entry.key.span, "name: the network's id")
    annotations = entry.value.get("annotations")
    if annotations is None or not isinstance(annotations, Mapping):
        return name, {}
    return name, {k.text: v for k, v in annotations.entries if isinstance(v, Scalar)}


def _spec(entry: Field | None, network_id: str, root: Node, problems: Problems) -> dict[str, Field]:
    wanted = f'labelsToApply: {{{network_id}: ""}}'
    if entry is None:
        problems.error("CR304", "a Calico Profile without spec", root.span, f"spec: {{{wanted}}} and the rules")
        return {}
    keys = ("ingress", "egress", "labelsToApply")
    spec = fields_of(entry.value, keys, "spec", problems, null_is_missing=True)
    labels = spec.get("labelsToApply")
    given = labels.value if labels else None
    if labels is None or not isinstance(given, Mapping) or given.get(network_id) is None:
        span = labels.key.span if labels else entry.key.span
        reason = f"labelsToApply lacks {network_id!r}, so no rule could tell who is in the network"
        problems.error("CR334", reason, span, wanted)
        return spec
    for key, value in given.entries:
        if key.text != network_id:
            message = f"the label {key.text!r} would be applied too; a network's endpoints carry its own label only"
            problems.error("CR334", message, key.span, wanted)
        elif not isinstance(value, Scalar) or (value.text and not is_null(value)):
            problems.error("CR334", f"the label {key.text!r} must be empty", value.span, wanted)
    return spec
