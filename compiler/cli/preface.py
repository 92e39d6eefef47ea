"""Workspaces in; which folders were read, and what keeps an answer about them from being whole, out."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace

from calico_rkt.compiler.cli.formats.findings import markdown_text, render_as
from calico_rkt.compiler.cli.process import CALICO, coloured, write_stdout
from calico_rkt.compiler.diagnostics import Diagnostic, Severity, printable
from calico_rkt.compiler.workspace.assemble import Workspace


def preface(*workspaces: Workspace) -> str:
    """The first lines of an answer for people: what was read, and what of it leaves the answer open."""
    return "".join(printable(line) + "\n" for line in lines(*workspaces))


def lines(*workspaces: Workspace) -> tuple[str, ...]:
    """The same as texts that may hold anything."""
    out: list[str] = []
    for n, workspace in enumerate(workspaces):
        out += [f"{_side(n, workspaces)}{line}" for line in (workspace.sources.words, *reservations(workspace))]
    return tuple(out)


def _side(number: int, workspaces: Sequence[Workspace]) -> str:
    return ("OLD ", "NEW ")[number] if len(workspaces) > 1 else ""


def reservations_beside(style: str, *workspaces: Workspace) -> str:
    """The reservations under an answer in markdown; on stderr, where the format has no room for them.

    Of two workspaces each has its side, but for what both say.
    """
    said = [reservations(workspace) for workspace in workspaces]
    both = {line for line in said[0] if all(line in other for other in said)}
    told = dict.fromkeys(
        f"{'' if line in both else _side(n, workspaces)}{line}" for n, found in enumerate(said) for line in found
    )
    if style == "markdown":
        return "".join(f"\n- {markdown_text(line)}\n" for line in told)
    if style in ("csv", "svg"):
        sys.stderr.write("".join(printable(line) + "\n" for line in told))
    return ""


def reservations(workspace: Workspace) -> tuple[str, ...]:
    """In words, what decides here and can't be known or is not looked at."""
    out = []
    for bad in workspace.unusable:
        about = f"nothing is known of the network {bad.name!r}, nor which addresses are its" if bad.name else _ANYBODYS
        out.append(f"undecided: {bad.words}: {about}")
    out += [f"{d.code}: {d.where}: {d.message}; apply refuses it" for d in workspace.refused]
    cluster = [c.name for c in workspace.confs if c.datastore_type != "local"]
    if cluster:
        out.append(f"{', '.join(cluster)}: {CALICO}")
    return tuple(out)


_ANYBODYS = "it may be any network's, so nothing here is certain"


def read_values(workspace: Workspace) -> dict[str, object]:
    """The same for programs: the folders, and the reservations in words."""
    undecided = [{"path": u.path, "network": u.name or None} for u in workspace.unusable]
    return {**workspace.sources.values(), "undecided": undecided, "reservations": list(reservations(workspace))}


def notes(workspace: Workspace) -> tuple[Diagnostic, ...]:
    """What has to be said beside the findings, and is none: of clusters, of confs and of rules that can't be used."""
    cluster = [w for w in reservations(workspace) if w.endswith(CALICO)]
    told = (Diagnostic("CR725", Severity.NOTE, words) for words in cluster)
    return (*told, *(d for u in workspace.unusable for d in u.diagnostics), *workspace.refused)


def checked_out(workspace: Workspace, found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """On files as their checkout calls them: who annotates lines shows a revision's files, without its name."""
    revision, colon, _ = workspace.where.partition(":")
    if not colon or workspace.sources.kind != "revision":
        return tuple(found)
    prefix = f"{revision}:"
    return tuple(
        replace(
            d, path=d.path.removeprefix(prefix), span=d.span and replace(d.span, path=d.span.path.removeprefix(prefix))
        )
        for d in found
    )


def say(style: str, *workspaces: Workspace) -> None:
    """Print the preface, where the answer is text for people."""
    if style == "text":
        write_stdout(preface(*workspaces))


def ended(status: int, *workspaces: Workspace) -> int:
    """The exit status of an answer: 2, with the reasons on stderr, where a conf or a rule in it could not be used."""
    bad = tuple(
        dict.fromkeys(d for w in workspaces for d in (*(d for u in w.unusable for d in u.diagnostics), *w.refused))
    )
    if not bad:
        return status
    sys.stdout.flush()
    sys.stderr.write(render_as("text", bad, colour=coloured(sys.stderr)))
    return 2
