"""Changes in, what people see of them and whether they agree out: asked alike by apply and by import."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from calico_rkt.compiler.cli.process import coloured
from calico_rkt.compiler.cli.progress import progress
from calico_rkt.compiler.diagnostics import render_diagnostics
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.publish.changes import ProfileChange

if TYPE_CHECKING:
    from calico_rkt.compiler.review.snapshot import World


def shown_change(change: ProfileChange, what: str = "what the files say") -> str:
    """The change line by line; what: where the new text is from."""
    # Here, not above: status, prune and gc show none.
    import difflib

    if change.edited and not change.live:
        return f"{change.new.network}: the published profile was edited by hand\n{change.new.text}"
    old = change.live or (change.old.text if change.old else "")
    head = "edited by hand" if change.edited else "published profile" if change.old else "not published yet"
    lines = difflib.unified_diff(old.splitlines(), change.new.text.splitlines(), head, what, lineterm="")
    return f"{change.new.network}:\n" + "\n".join(lines)


def reviewed(old: World, new: World) -> bool:
    """Show what is let through and denied from old to new, and the promises that would not hold; whether all hold."""
    from calico_rkt.compiler.review.diff import diff_worlds
    from calico_rkt.compiler.review.diff_text import text_of_diff
    from calico_rkt.plugin.publish.effect import broken

    print(flush=True)
    with progress() as tell:
        found = diff_worlds(old, new, tell)
    print(text_of_diff(found, colour=coloured(sys.stdout)), end="")
    failing = broken(new)
    print(render_diagnostics(failing, colour=coloured(sys.stdout)), end="")
    return not any(d.is_error for d in failing)


def agreed(question: str) -> bool:
    """Ask on a terminal; CniError where there is none. Who does not agree is told that nothing was changed."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise CniError(Code.INVALID_ENVIRONMENT, f"{question} There is no terminal to ask on", "--yes does not ask")
    try:
        reply = input(f"{question} [y/N] ")
    except EOFError:
        reply = ""
    if reply.strip().lower() in ("y", "yes"):
        return True
    print("nothing was changed", file=sys.stderr)
    return False
