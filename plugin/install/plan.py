"""What is wanted and what a host has in; what is to be done, path by path, out. Nothing is changed here."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from calico_rkt.plugin.install import manifest, payload
from calico_rkt.plugin.install.manifest import Entry, Manifest
from calico_rkt.plugin.install.parts import GROUPS, PLUGIN, Part, at, parts


@dataclass(frozen=True)
class Wanted:
    """What somebody asked for."""

    root: str = ""
    """The folder that is, or becomes, a host; empty for this one."""
    prefix: str = ""
    asked: frozenset[str] = frozenset()
    """Groups that are wanted whatever the host looks like."""
    unasked: frozenset[str] = frozenset()
    copy: bool = False
    """Copies of the plugin where links to it would be."""
    replace: bool = False
    """Also where others' files are."""


@dataclass(frozen=True)
class Step:
    """One path: `put` and `link` where nothing is, `replace`, `remove`; `same` and `keep` leave what is there."""

    act: str
    new: Entry
    words: str
    data: bytes = b""
    mode: int = 0o644

    @property
    def changes(self) -> bool:
        return self.act not in ("same", "keep")


@dataclass
class Plan:
    """All steps in their order, what is left out and why, and what forbids it."""

    steps: list[Step] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def planned(wanted: Wanted, own: Path, known: Manifest) -> Plan:
    """The plan. own: this program's file; known: what was installed before. OSError where a file can't be read."""
    plan = Plan()
    groups = _groups(wanted, plan)
    share, data = payload.share(own), own.read_bytes()
    places = {_place(wanted.root, PLUGIN): PLUGIN}
    for part in parts(wanted.prefix):
        if part.group not in groups:
            continue
        same = places.setdefault(_place(wanted.root, part.path), part.path)
        if same != part.path:  # a link to itself, or over what was just put
            plan.left_out.append(f"{part.path}: it is {same}, by a folder that is a link")
            continue
        content = share.get(part.source, b"") if part.source else data
        if part.source and part.source not in share:
            plan.left_out.append(f"{part.path}: not in this build")
            continue
        new = (
            Entry(part.path, link=PLUGIN)
            if part.link and not (wanted.copy and part.group in ("opt", "rkt"))
            else Entry(part.path, sha256=payload.checksum(content))
        )
        step = _step(wanted, known, part, new, content)
        if isinstance(step, str):
            plan.refused.append(step)
        else:
            plan.steps.append(step)
    plan.steps += _obsolete(wanted, known, {s.new.path for s in plan.steps}, places, plan)
    plan.refused += unwritable(wanted.root, [s.new.path for s in plan.steps if s.changes])
    plan.refused += _packaged([s for s in plan.steps if s.changes]) if not wanted.root else []
    return plan


def _groups(wanted: Wanted, plan: Plan) -> Collection[str]:
    chosen = set()
    for name, group in GROUPS.items():
        why = "" if name in wanted.asked else "not wanted" if name in wanted.unasked else ""
        if not why and name not in wanted.asked and not wanted.root:
            why = group.missing()
        if not why and name == "rkt" and wanted.root and name not in wanted.asked:
            why = "only by --with rkt"
        if why:
            plan.left_out.append(f"{group.words} ({name}): {why}")
        else:
            chosen.add(name)
    return chosen


def _step(wanted: Wanted, known: Manifest, part: Part, new: Entry, content: bytes) -> Step | str:
    """What is to be done with one part, or why it can't be."""
    now = manifest.found(wanted.root, new.path)
    data, mode = (b"", 0) if new.link else (content, 0o644 if part.source else 0o755)
    if now is None:
        return Step("link" if new.link else "put", new, part.words, data, mode)
    place = at(wanted.root, new.path)
    if now == new:
        runs = bool(now.link or part.source) or place.stat().st_mode & 0o133 == 0o111
        return Step("same" if runs else "replace", new, part.words, data, mode)
    if not now.link and not now.sha256:
        return f"{place} is no file"
    if part.owned_by_people and not known.put(now):
        return Step("keep", new, f"{part.words}; what is there stays")
    if known.put(now) or wanted.replace or _is_program(wanted.root, part, now):
        return Step("replace", new, part.words, data, mode)
    if known.has(new.path):
        return f"{place} {manifest.how_changed(wanted.root, known, new.path)}"
    dangling = now.link and not at(wanted.root, _target(now)).exists()
    return f"{place} is there and is {'a link that leads nowhere' if dangling else 'not of this program'}"


def _target(link: Entry) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(link.path), link.link))  # noqa: PTH118, PTH120 - text only


def _is_program(root: str, part: Part, now: Entry) -> bool:
    """Whether a build of this program is there, or leads there."""
    return not part.source and payload.is_ours(at(root, _target(now) if now.link else now.path))


def _place(root: str, path: str) -> str:
    """Where a path leads, but for a link at its end: one folder may be a link to another."""
    place = at(root, path)
    return os.path.join(os.path.realpath(place.parent), place.name)  # noqa: PTH118 - text only


def _obsolete(
    wanted: Wanted, known: Manifest, paths: Collection[str], places: Collection[str], plan: Plan
) -> Iterator[Step]:
    """What the install before put where this one puts nothing; what somebody changed there stays."""
    refused = {text.split(" ", 1)[0] for text in plan.refused}
    for path in manifest.paths(known.entries):
        now = manifest.found(wanted.root, path)
        if path in paths or _place(wanted.root, path) in places or str(at(wanted.root, path)) in refused:
            continue
        if now is not None and known.put(now):
            yield Step("remove", now, "of the install before")


def unwritable(root: str, paths: Collection[str]) -> Iterator[str]:
    """Folders of these paths that can't be written, and those that a link leads out of the root."""
    top = os.path.realpath(root or "/").rstrip("/") + "/"
    for folder in dict.fromkeys(manifest.nearest(at(root, path)) for path in paths):
        if not (os.path.realpath(folder) + "/").startswith(top):
            yield f"{folder} leads out of {root}"
        elif not folder.is_dir():
            yield f"{folder} is no folder"
        elif not os.access(folder, os.W_OK):
            yield f"{folder} can not be written{'' if os.geteuid() == 0 else ': this is for root'}"


def _packaged(steps: list[Step]) -> Iterator[str]:
    """Paths that a Debian package has."""
    if not steps or not shutil.which("dpkg-query"):
        return
    done = subprocess.run(
        ["dpkg-query", "-S", *(s.new.path for s in steps)], capture_output=True, text=True, check=False
    )
    for line in done.stdout.splitlines():
        package, _, path = line.partition(": ")
        if not package.startswith("diversion by"):
            yield f"{path} is of the package {package}: it is for apt to change"
