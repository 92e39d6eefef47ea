"""What a command answers in, its JSON out: an object that says what it is, and which version of it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from calico_rkt.compiler.cli.formats.json_text import json_text

VERSION = 1
"""Counts up where a key goes or changes its meaning; new keys may come at any time. docs/commands.md."""


def document(command: str, body: Mapping[str, object], read: Mapping[str, object] | None = None) -> str:
    """The answer of a command; read says which folders decided, where the command looked at any.

    >>> print(document("check", {"findings": []}), end="")
    {
      "format": "calico-rkt.check",
      "version": 1,
      "findings": []
    }
    """
    head: dict[str, object] = {"format": f"calico-rkt.{command}", "version": VERSION}
    if read is not None:
        head["read"] = read
    return json_text({**head, **body}) + "\n"


def json_line(command: str, body: Mapping[str, object]) -> str:
    """The same on one line, for what answers with many.

    >>> json_line("trace_end", {"dropped": 0})
    '{"format": "calico-rkt.trace_end", "version": 1, "dropped": 0}'
    """
    return json.dumps({"format": f"calico-rkt.{command}", "version": VERSION, **body})
