"""The profiles_dir of each conf of a folder that is no host's in, the folder that stands for it there out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from os.path import normpath

from calico_rkt.compiler.conf.netconf import PROFILES_DIR
from calico_rkt.compiler.diagnostics import Diagnostic, warning
from calico_rkt.compiler.workspace.confs import Confs
from calico_rkt.compiler.workspace.overrides import Overrides

Reader = Callable[[str], Overrides]
"""A folder's path from the workspace in, the overrides there out."""


def stands_for(confs: Confs, usual: Overrides, more: Reader | None) -> tuple[dict[str, Overrides], list[Diagnostic]]:
    """The overrides that count here for each profiles_dir of a conf, as `settings:` says; and what it doesn't say."""
    given = {normpath(k): v for f in usual.files if f.settings for k, v in f.settings.profiles_dirs}
    found: dict[str, Overrides] = {}
    told: list[Diagnostic] = []
    for conf in confs.confs:
        named = normpath(conf.profiles_dir)
        if not conf.profiles_named or named in found:
            continue
        if named in given and more is not None:
            folder = given[named].text
            found[named] = replace(more(folder), folder=folder)
        elif named != PROFILES_DIR:
            message = (
                f"profiles_dir is {conf.profiles_dir}: a host reads that, and here {usual.folder or 'nothing'} is read"
            )
            hint = f"a file with `settings: {{profiles_dirs: {{{conf.profiles_dir}: FOLDER}}}}` says what stands for it"
            told.append(warning("CR720", message, path=confs.paths[conf.name], hint=hint))
    unnamed = [v for k, v in given.items() if k not in {normpath(c.profiles_dir) for c in confs.confs}]
    told += [warning("CR721", f"no conf here has this profiles_dir, so {v.text} is not read", v.span) for v in unnamed]
    return found, told
