"""A workspace folder in, everything that is wrong or idle in its policy out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from calico_rkt.compiler.conf import CONF_SUFFIXES, NetConf, parse_conf
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error
from calico_rkt.compiler.pipeline import LOCAL, compile_network, write_proven
from calico_rkt.compiler.review.lint import lint
from calico_rkt.compiler.workspace import (
    findings,
    known_ids,
    parse_files,
    policy_for,
    read_file,
    read_profiles,
    unread,
    unused,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """The names of the networks looked at, and what there is to say about them, each thing once."""

    networks: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]


def check(folder: Path, environ: Mapping[str, str]) -> Checked:
    """All problems of all confs of type calico in folder and of the overrides in its `profiles/`.

    Raises CompileError only where the folder can't be read or holds no such conf.
    """
    found: list[Diagnostic] = []
    confs = _confs(folder, environ, found)
    if not confs and not found:
        hint = "a workspace is a folder of *.conf and *.conflist files with profiles/*.yaml beside them"
        raise CompileError([error("CR806", "no conf of type calico is here", path=str(folder), hint=hint)])
    profiles = folder / "profiles"
    data = read_profiles(profiles)
    files = parse_files(data)
    names = tuple(confs)
    found += [*unread(profiles), *unused(files, names), *(d for f in files for d in f.diagnostics)]
    for name, conf in confs.items():
        policy = policy_for(name, files)
        known = known_ids(policy, files, names)
        try:
            compiled = compile_network(conf, policy, findings=findings(policy, files, names), known_ids=known)
            found += compiled.diagnostics
            if conf.datastore_type == "local":
                write_proven(compiled.network, LOCAL, known)
        except CompileError as e:
            found += e.diagnostics
            continue
        found += lint(compiled.network, known, frozenset(data))
    return Checked(names, tuple(dict.fromkeys(found)))


def _confs(folder: Path, environ: Mapping[str, str], found: list[Diagnostic]) -> dict[str, NetConf]:
    try:
        paths = sorted(p for p in folder.iterdir() if p.suffix in CONF_SUFFIXES)
    except OSError as e:
        raise CompileError([error("CR701", f"the folder can't be read: {e.strerror}", path=str(folder))]) from e
    confs: dict[str, NetConf] = {}
    for path in paths:
        try:
            conf, warnings = parse_conf(read_file(path), str(path), preview=True, environ=environ)
        except CompileError as e:
            found += e.diagnostics
            continue
        if conf.type != "calico":
            continue
        found += warnings
        confs.setdefault(conf.name, conf)
    return confs
