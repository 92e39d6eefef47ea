"""Workspaces in; which folders were read, and what keeps an answer about them from being whole, out."""

from __future__ import annotations

import sys

from calico_rkt.compiler.cli.common import coloured, write
from calico_rkt.compiler.cli.formats import render_as
from calico_rkt.compiler.diagnostics import Diagnostic, Severity, printable
from calico_rkt.compiler.workspace.reader import Workspace


def preface(*workspaces: Workspace) -> str:
    """The first lines of an answer for people: what was read, and what of it leaves the answer open."""
    out = []
    for n, workspace in enumerate(workspaces):
        side = ("OLD ", "NEW ")[n] if len(workspaces) > 1 else ""
        out += [f"{side}{line}" for line in (workspace.sources.words, *reservations(workspace))]
    return "".join(printable(line) + "\n" for line in out)


def reservations(workspace: Workspace) -> tuple[str, ...]:
    """In words, what decides here and can't be known or is not looked at."""
    out = []
    for bad in workspace.unusable:
        about = f"nothing is known of the network {bad.name!r}, nor which addresses are its" if bad.name else _ANYBODYS
        out.append(f"undecided: {bad.words}: {about}")
    cluster = [c.name for c in workspace.confs if c.datastore_type != "local"]
    if cluster:
        out.append(f"{', '.join(cluster)}: {_CALICO}")
    return tuple(out)


_ANYBODYS = "it may be any network's, so nothing here is certain"
_CALICO = "on a Calico cluster, where Calico's own policies may decide before profiles do; they are not read here"


def read_values(workspace: Workspace) -> dict[str, object]:
    """The same for programs: the folders, and the reservations in words."""
    undecided = [{"path": u.path, "network": u.name or None} for u in workspace.unusable]
    return {**workspace.sources.values(), "undecided": undecided, "reservations": list(reservations(workspace))}


def notes(workspace: Workspace) -> tuple[Diagnostic, ...]:
    """What has to be said beside the findings, and is none."""
    cluster = [w for w in reservations(workspace) if w.endswith(_CALICO)]
    return tuple(Diagnostic("CR725", Severity.NOTE, words) for words in cluster)


def say(style: str, *workspaces: Workspace) -> None:
    """Print the preface, where the answer is text for people."""
    if style == "text":
        write(preface(*workspaces))


def ended(status: int, *workspaces: Workspace) -> int:
    """The exit status of an answer: 2, with the reasons on stderr, where a conf that may decide could not be used."""
    bad = [d for w in workspaces for u in w.unusable for d in u.diagnostics]
    if not bad:
        return status
    sys.stdout.flush()
    sys.stderr.write(render_as("text", bad, colour=coloured(sys.stderr)))
    return 2
