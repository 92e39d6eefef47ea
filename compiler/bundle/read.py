"""A file of Calico v3 resources in, its Bundle out; every problem of the file at once, each with its line.

Profiles have to carry the digest that their rules have: what was edited by hand is refused, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import yaml

from calico_rkt.compiler.bundle.lists import items
from calico_rkt.compiler.bundle.pools import read_pool
from calico_rkt.compiler.bundle.resources import Bundle, IPPool
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, Span, error
from calico_rkt.compiler.ir.canonical import API_VERSION
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.targets.yaml_values import Value, load_yaml

LARGEST = 32 << 20
"""Bytes of a file: 1,000 profiles of 1,000 rules are less."""
_DEEPEST = 64
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_KINDS = ("IPPool", "Profile", "WorkloadEndpoint")


@dataclass(frozen=True, slots=True)
class _Document:
    """One document of a file: the number and the text of its first line there, and how many lines stand before text."""

    path: str
    line: int
    first: str
    text: str
    before: int
    listed: bool = False

    def problem(self, code: str, message: str, hint: str = "") -> Diagnostic:
        return error(code, message, Span(self.path, self.line, 1, len(self.first) + 1, self.first), hint=hint)


def read_bundle(path: str, data: bytes) -> Bundle:
    """The file's resources. Raises CompileError with all problems."""
    text = _decoded(path, data)
    problems: list[Diagnostic] = []
    profiles: list[Network] = []
    pools: list[IPPool] = []
    endpoints: list[str] = []
    passed_over: list[str] = []
    seen: dict[tuple[str, str], int] = {}
    for document in (part for whole in _split(path, text) for part in _parts(whole)):
        try:
            kind, name, found = _resource(document)
        except CompileError as e:
            if document.listed and (name := _foreign(document)):
                passed_over.append(name)
                continue
            problems += [d if d.span else replace(d, span=document.problem(d.code, "").span) for d in e.diagnostics]
            continue
        if (kind, name) in seen:
            problems.append(document.problem("CR612", f"{kind} {name} stands on line {seen[kind, name]} already"))
        seen[kind, name] = document.line
        if isinstance(found, Network):
            profiles.append(found)
        elif isinstance(found, IPPool):
            pools.append(found)
        else:
            endpoints.append(name)
    if not seen and not problems and not passed_over:
        problems.append(error("CR614", "there is no resource in this file", path=path))
    if problems:
        raise CompileError(problems)
    return Bundle(
        tuple(sorted(profiles, key=lambda n: n.id)),
        tuple(sorted(pools, key=lambda p: p.name)),
        endpoint_names=tuple(sorted(endpoints)),
        passed_over=tuple(sorted(passed_over)),
    )


def _decoded(path: str, data: bytes) -> str:
    if len(data) > LARGEST:
        raise CompileError([error("CR614", f"more than {LARGEST >> 20} MB is no file of export's", path=path)])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        line = data[: e.start].count(b"\n") + 1
        raise CompileError([error("CR614", f"line {line} is no text in UTF-8", path=path)]) from e


def _split(path: str, text: str) -> Iterator[_Document]:
    """The documents that say something; a line that begins with --- begins one, wherever it stands in YAML."""
    lines = text.split("\n")
    starts = [0, *(n for n, line in enumerate(lines) if line.rstrip() == "---" or line.startswith("--- "))]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        said = [n for n in range(start, end) if lines[n].strip() and not lines[n].startswith(("#", "---"))]
        if said or lines[start].startswith("--- "):
            first = said[0] if said else start
            part = "\n".join(lines[start:end]) + "\n"
            yield _Document(path, first + 1, lines[first].rstrip("\r"), part, start)


def _parts(document: _Document) -> Iterator[_Document]:
    """The document, or where it is a list its items."""
    found = None if _knots(document) else items(document.text)
    if found is None:
        yield document
        return
    for before, text in found:
        first = text.partition("\n")[0]
        yield _Document(document.path, document.before + before + 1, first, text, document.before + before, listed=True)


def _foreign(document: _Document) -> str:
    """The name of a profile that says nowhere that it is one of ours; empty for anything else."""
    try:
        top = load_yaml(document.text, document.before)
    except CompileError:
        return ""
    metadata = top.get("metadata") if isinstance(top, dict) and top.get("kind") == "Profile" else None
    if not isinstance(metadata, dict):
        return ""
    notes = metadata.get("annotations")
    ours = isinstance(notes, dict) and any(key.startswith("calico-rkt.org/") for key in notes)
    return "" if ours else str(metadata.get("name") or "")


def _resource(document: _Document) -> tuple[str, str, Network | IPPool | None]:
    knot = _knots(document)
    if knot:
        raise CompileError([document.problem("CR611", f"{knot}, which no file of export's has")])
    top = load_yaml(document.text, document.before)
    kind = top.get("kind") if isinstance(top, dict) else None
    if not isinstance(top, dict) or top.get("apiVersion") != API_VERSION or kind not in _KINDS:
        hint = "IPPool, Profile and WorkloadEndpoint: as calico-rkt export writes them, or calicoctl get lists them"
        raise CompileError([document.problem("CR611", f"no resource that can be imported: kind {kind!r}", hint)])
    name = _name(document, top)
    if kind == "Profile":
        return kind, name, _profile(document)
    if kind == "IPPool":
        return kind, name, read_pool(name, top, lambda message: document.problem("CR613", f"IPPool {name}: {message}"))
    return kind, name, None


def _profile(document: _Document) -> Network:
    network = verify_calico_v3(document.text)
    if object_id(network.name) != network.id:
        message = f"the profile {network.id} says that it is network {network.name!r}'s, whose id is another"
        raise CompileError([document.problem("CR333", message)])
    return network


def _name(document: _Document, top: dict[str, Value]) -> str:
    metadata = top.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise CompileError([document.problem("CR611", "a resource without a name")])
    return name


def _knots(document: _Document) -> str:
    """Aliases and bottomless nesting, in words: harmless to write, and costly to read. Calico's files have neither."""
    depth = 0
    try:
        for event in yaml.parse(document.text, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > _DEEPEST:
                return "an alias" if isinstance(event, yaml.AliasEvent) else f"more than {_DEEPEST} levels"
    except yaml.YAMLError:
        pass  # the reader says it better
    return ""
