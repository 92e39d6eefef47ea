"""The files of a profiles folder in, what they say to one network out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from calico_rkt import profiles
from calico_rkt.compiler.diagnostics import Diagnostic, error, raise_errors, warning
from calico_rkt.compiler.grammar.defaults import BUILT_IN, DefaultRules, parse_default_rules
from calico_rkt.compiler.grammar.rules import SELF
from calico_rkt.compiler.ir.ids import object_id
from calico_rkt.compiler.text.fields import Problems
from calico_rkt.compiler.text.yaml_nodes import parse_yaml
from calico_rkt.compiler.values import dataclass

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.definitions import Definition, Definitions
    from calico_rkt.compiler.grammar.overrides import File, Override
    from calico_rkt.compiler.ir.model import LogLimit, NameRef

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Policy:
    """All that the files say to one network. override None: none is about it; definitions None: none has any.

    felix are the modes of Felix that the cluster's nodes run, None where no file says so; log_limit likewise.
    """

    override: Override | None
    defaults: DefaultRules
    definitions: Definitions | None
    diagnostics: tuple[Diagnostic, ...] = ()
    felix: frozenset[str] | None = None
    log_limit: LogLimit | None = None


@cache
def built_in_rules(name: str) -> DefaultRules:
    """One of the default rule sets that come with the project, read once: all of a thousand networks may have it."""
    path = f"{name}.yaml"
    data = profiles.data(path)
    problems = Problems()
    rules = parse_default_rules(parse_yaml(path, data), name, problems)
    raise_errors(problems.found)
    return rules


def parse_files(files: Mapping[str, bytes], network: str | None = None) -> tuple[File, ...]:
    """Each file as what its content says it is; raises nothing.

    network: the one that is asked about; of others' overrides nothing is read then but whose they are.
    """
    if not files:
        return ()  # as most networks have it, and they shall not wait for how a file is read
    from calico_rkt.compiler.grammar.overrides import parse_file

    network_id = None if network is None else object_id(network)
    return tuple(parse_file(path, data, network_id) for path, data in files.items())


def policy_for(network: str, files: Sequence[File]) -> Policy:
    """What the files say to the network; its diagnostics may hold errors, so that a caller can add its own.

    What is wrong in another network's override is that network's affair. What can't be told whose it is stops
    every network: it could be this one's.
    """
    network_id = object_id(network)
    concerning = [f for f in files if f.owner in (None, network_id)]
    found = [d for f in concerning for d in f.diagnostics]
    found += _file_names(files)
    own = [f for f in concerning if f.override is not None]
    for extra in own[1:]:
        first = own[0]
        where = extra.override.span if extra.override else None
        message = f"a second override of the network {network!r}; the first is {first.path}"
        found.append(error("CR702", message, where, hint="keep one of the two files"))
    override = own[0].override if own else None
    if override and override.network not in (network, network_id) and object_id(override.network) == network_id:
        message = f"this profile says it is the network {override.network!r}, not {network!r}"
        found.append(error("CR333", message, override.span))
    if override:
        override = replace(override, network=network)
    definitions, twice = _merge_definitions(concerning)
    defaults, settings = _defaults(concerning)
    felix = next((f.settings.felix for f in concerning if f.settings), None)
    limit = override.log_limit if override else None
    limit = limit or next((f.settings.log_limit for f in concerning if f.settings), None)
    return Policy(override, defaults, definitions, (*found, *twice, *settings), felix, limit)


def known_ids(policy: Policy, files: Sequence[File], confs: Sequence[str]) -> frozenset[str]:
    """The ids of the networks that a conf, an override, or a rule of this policy names."""
    named = (n.name for n in _mentioned(policy))
    return frozenset((*map(object_id, (*confs, *named)), *(f.override.network_id for f in files if f.override)))


def findings(policy: Policy, files: Sequence[File], confs: Sequence[str]) -> tuple[Diagnostic, ...]:
    """What a reviewer should know: names of networks that no conf and no override knows."""
    return _unknown(_mentioned(policy), files, confs)


def findings_of_tests(policy: Policy, files: Sequence[File], confs: Sequence[str]) -> tuple[Diagnostic, ...]:
    """The same of tests alone: strangers() tells of rules where a host enforces by itself."""
    return _unknown(_in_tests(policy), files, confs)


def _unknown(mentioned: Iterable[NameRef], files: Sequence[File], confs: Sequence[str]) -> tuple[Diagnostic, ...]:
    overrides = [f.override for f in files if f.override]
    ids = {*map(object_id, confs), *(o.network_id for o in overrides)}
    found = [n for n in mentioned if object_id(n.name) not in ids]
    if not found:
        return ()
    from calico_rkt.compiler.workspace.taken import way_out

    names = {*confs, *(o.network for o in overrides)}
    message = "no conf and no override beside this one knows the network {!r}"
    later = "no endpoint matches until there is one"
    return tuple(
        warning("CR705", message.format(n.name), n.span, hint=way_out(n.name, n.name, names, later)) for n in found
    )


def _mentioned(policy: Policy) -> Iterator[NameRef]:
    """Every network's name that the override or the default rules use, but for `self`."""
    yield from in_rules(policy)
    yield from _in_tests(policy)


def in_rules(policy: Policy) -> Iterator[NameRef]:
    """The same of rules alone."""
    rules = (*policy.defaults.ingress, *policy.defaults.egress)
    in_defaults = (n for r in rules for side in (r.match.source, r.match.destination) for n in side.networks)
    found = (*(policy.override.ruled_networks() if policy.override else ()), *in_defaults)
    yield from (n for n in found if n.name != SELF)


def _in_tests(policy: Policy) -> Iterator[NameRef]:
    """The same of tests alone."""
    yield from (n for n in (policy.override.tested_networks() if policy.override else ()) if n.name != SELF)


def unused(files: Sequence[File], confs: Sequence[str], here: str = "no conf here") -> tuple[Diagnostic, ...]:
    """A warning for each override that is about a network which no conf has that uses it; here says which confs."""
    with_conf = {object_id(name) for name in confs}
    return tuple(
        warning("CR706", f"{here} has the network {o.network!r}, so this override is used by none", o.span)
        for f in files
        if (o := f.override) and o.network_id not in with_conf
    )


def _stem(path: str) -> str:
    """As PurePath's; it is asked for each file and each network."""
    name = path[path.rfind("/") + 1 :]
    dot = name.rfind(".")
    return name[:dot] if 0 < dot < len(name) - 1 else name


def _file_names(files: Iterable[File]) -> list[Diagnostic]:
    """A file is what its content says; a name that says something else misleads only people."""
    return [
        warning("CR703", f"the override of {o.network!r} in a file of another name", o.span, hint=f"{o.network}.yaml")
        for f in files
        if (o := f.override) and _stem(f.path) not in (o.network, o.network_id)
    ]


def _merge_definitions(files: Iterable[File]) -> tuple[Definitions | None, list[Diagnostic]]:
    given = [f.definitions for f in files if f.definitions]
    if not given:
        return None, []
    from calico_rkt.compiler.grammar.definitions import Definitions

    nets, nets_twice = _once([d for g in given for d in g.nets])
    ports, ports_twice = _once([d for g in given for d in g.ports])
    return Definitions(nets, ports), nets_twice + ports_twice


def _once(all_of: Iterable[Definition[T]]) -> tuple[tuple[Definition[T], ...], list[Diagnostic]]:
    found: dict[str, Definition[T]] = {}
    twice: list[Diagnostic] = []
    for d in all_of:
        first = found.setdefault(d.name, d)
        if first is not d:
            place = f"{first.span.path}:{first.span.line}"
            twice.append(error("CR336", f"the definition {d.name} stands twice; first in {place}", d.span))
    return tuple(found.values()), twice


def _defaults(files: Iterable[File]) -> tuple[DefaultRules, list[Diagnostic]]:
    settings = [f.settings for f in files if f.settings]
    twice = [
        error("CR704", f"a second `settings:`; the first is in {settings[0].span.path}", s.span) for s in settings[1:]
    ]
    if settings and settings[0].rules:
        return settings[0].rules, twice
    return built_in_rules((settings[0].built_in if settings else None) or BUILT_IN[0]), twice
