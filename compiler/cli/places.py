"""A folder, a revision, or both in, the workspace that is meant out."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from calico_rkt.compiler.diagnostics import CompileError, error
from calico_rkt.compiler.workspace.reader import Workspace, open_folder


def add_workspace(parser: argparse.ArgumentParser) -> None:
    """DIR and --revision."""
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", type=Path, default=Path(), help="confs with profiles/ beside them (.)"
    )
    parser.add_argument("--revision", metavar="REV", help="as DIR was in this git revision")


def workspace_of(args: argparse.Namespace) -> Workspace:
    """The workspace that add_workspace's arguments mean."""
    if args.revision is None:
        return open_folder(args.folder, os.environ)
    from calico_rkt.compiler.workspace.revision import open_revision

    return open_revision(args.revision, args.folder, os.environ)


def named(text: str, folder: Path) -> Workspace:
    """What `diff` calls a side: a folder, a revision of folder, or `REV:DIR`; CR818 where it could be two of them."""
    from calico_rkt.compiler.workspace.revision import is_revision, open_revision

    path = Path(text)
    if path.is_dir():
        if "/" not in text and text not in (".", "..") and is_revision(text, folder):
            hint = f"./{text} is the folder, refs/heads/{text} the branch"
            raise CompileError([error("CR818", f"{text!r} is a folder here and a revision, too", hint=hint)])
        return open_folder(path, os.environ)
    revision, colon, inside = text.partition(":")
    return open_revision(revision, Path(inside) if colon and inside else folder, os.environ)
