"""A folder, a revision, or both in, the workspace that is meant out."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import replace
from pathlib import Path

from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error
from calico_rkt.compiler.workspace.assemble import Workspace
from calico_rkt.compiler.workspace.folder import open_folder, open_here

_SIDES = "name a folder of confs with profiles/ beside them, a git revision, or REV:DIR"
_TWO = re.compile(r"(?P<old>[^:]+:.*?)\.{2,3}(?P<new>[^/:.][^/:]*:.*)\Z")
"""`REV:DIR..REV:DIR`."""


def workspace_of(args: argparse.Namespace) -> Workspace:
    """The workspace that the arguments of naming.add_workspace mean."""
    if getattr(args, "revision", None) is None:
        return here(args)
    from calico_rkt.compiler.workspace.revision import open_revision

    return open_revision(args.revision, args.folder or Path(), args.profiles)


def here(args: argparse.Namespace) -> Workspace:
    """The folder as it is."""
    if args.folder is None:
        return open_here(os.environ, args.profiles)
    return open_folder(args.folder, os.environ, args.profiles)


def named(text: str, args: argparse.Namespace) -> Workspace:
    """What `diff` calls a side: a folder, a revision of folder, or `REV:DIR`; CR818 where it could be two of them."""
    from calico_rkt.compiler.workspace.git import two_in_one
    from calico_rkt.compiler.workspace.revision import is_revision, open_revision

    path, folder = Path(text), args.folder or Path()
    if path.is_dir():
        if "/" not in text and text not in (".", "..") and is_revision(text, folder):
            hint = f"./{text} is the folder, refs/heads/{text} the branch"
            raise CompileError([error("CR818", f"{text!r} is a folder here and a revision, too", hint=hint)])
        return open_folder(path, os.environ, args.profiles)
    if both := _TWO.match(text):
        two_in_one(text, both["old"], both["new"], folder)
    if path.exists() and not is_revision(text, folder):
        raise CompileError([error("CR701", f"{text} is a file, no folder of confs", hint=_SIDES)])
    revision, colon, inside = text.partition(":")
    try:
        return open_revision(revision, Path(inside) if colon and inside else folder, args.profiles)
    except CompileError as e:
        taken = f"{text!r} is no folder, so it is taken for a revision"
        if inside:
            taken = f"{text!r} is the folder {inside}, as it is here, in the revision {revision!r}"
        raise CompileError([_with_hint(d, taken) for d in e.diagnostics]) from e


def _with_hint(found: Diagnostic, words: str) -> Diagnostic:
    """What git could not be asked, with how it came to be asked."""
    return replace(found, hint=words) if found.code == "CR713" and not found.hint else found
