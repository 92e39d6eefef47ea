"""The pages of docs/codes/ in, one list of all diagnostics' codes out."""

from __future__ import annotations

import re

from calico_rkt.compiler.cli.rule import written
from reference.markdown import table

_HEAD = """# Codes of diagnostics

`calico-rkt rule CODE` prints the whole text, with the way out; so do the pages of `docs/codes/`.

"""
_FIRST = re.compile(r"(?<=[.;])(?: |$)")


def page() -> str:
    """A line for each code: its severity, and what it means."""
    rows = [(f"`{code}`", severity, _FIRST.split(words)[0].rstrip(".;")) for code, severity, words in written()]
    return _HEAD + table(("code", "severity", "what it means"), rows)
