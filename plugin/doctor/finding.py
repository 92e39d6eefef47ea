"""The values of this room: a finding, and words about what is well, in; text for people, and values for JSON, out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calico_rkt.compiler.diagnostics import Severity, printable

ERROR, WARNING = Severity.ERROR, Severity.WARNING


@dataclass(frozen=True, slots=True)
class Place:
    """A file, and a line of it where one is meant."""

    path: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, what follows from it for containers, and the command that cures it.

    harmless: the cure takes nothing away from anybody, so --fix may run it. advice: the cure is no command but words.
    """

    code: str
    severity: Severity
    message: str
    follows: str
    cure: str
    place: Place | None = None
    harmless: bool = False
    advice: bool = False


Seen = Finding | str
"""What a check found: something wrong, or, in words, something that is well."""
Check = Iterator[Seen]
"""What a check gives as it looks."""


def text_of(found: Finding) -> str:
    """The finding as people read it; what a file says can't write to the terminal."""
    where = f"{printable(str(found.place))}: " if found.place else ""
    how = "cure (--fix does it)" if found.harmless else "do" if found.advice else "cure"
    lines = [
        f"{where}{found.code} {found.severity.value}: {printable(found.message)}",
        f"    so: {printable(found.follows)}",
        f"    {how}: {printable(found.cure)}",
    ]
    return "\n".join(lines) + "\n"


def values_of(found: Finding) -> dict[str, object]:
    """The same for a program."""
    return {
        "code": found.code,
        "severity": found.severity.value,
        "message": found.message,
        "follows": found.follows,
        "cure": found.cure,
        "cure_is_command": not found.advice,
        "fixable": found.harmless,
        "path": found.place.path if found.place else None,
        "line": found.place.line or None if found.place else None,
    }
