"""The end of a command's --help in, its examples and exit statuses out: for the reference and for tests."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

PROGRAMS = ("calico-rkt", "compile-profile", "dist/calico")
_STATUS = re.compile(r"(?:^|[,;] )(\d{1,3}) ")
_COMMENT = re.compile(r" {2,}\S.*|\s+#.*")
_SUBSTITUTED = re.compile(r'"?\$\([^)]*\)"?')
_PIECES = re.compile(r"\s*(?:[|;<>]|&&)\s*")


def exit_statuses(epilog: str) -> Mapping[int, str]:
    r"""What each exit status means, in the order of the text.

    >>> dict(exit_statuses("exit status: 0 done, or nothing to do; 1 refused; 2 bad usage,\nor unreadable"))
    {0: 'done, or nothing to do', 1: 'refused', 2: 'bad usage, or unreadable'}
    """
    _, _, said = epilog.partition("exit status: ")
    _, *parts = _STATUS.split(" ".join(said.partition("\n\n")[0].split()))
    return {int(number): words for number, words in zip(parts[::2], parts[1::2], strict=True)}


def examples(epilog: str) -> tuple[str, ...]:
    r"""The lines of a shell under `examples:`, without what is said of each.

    >>> examples("examples:\n  calico-rkt ls web   those of a network\n  calico-rkt ls\n\nexit status: 0 listed")
    ('calico-rkt ls web', 'calico-rkt ls')
    """
    _, _, said = epilog.partition("examples:\n")
    lines = said.partition("\n\n")[0].splitlines()
    return tuple(_COMMENT.sub("", line.strip()) for line in lines if line.startswith("  "))


def calls(line: str) -> tuple[tuple[str, ...], ...]:
    """Our programs' part of such a line, each as its words; what another command would print is one word.

    >>> calls("calico-rkt attach web $(docker inspect c1) --id c1; echo | calico-rkt import -")
    (('calico-rkt', 'attach', 'web', 'SUBSTITUTED', '--id', 'c1'), ('calico-rkt', 'import', '-'))
    """
    pieces = _PIECES.split(_SUBSTITUTED.sub("SUBSTITUTED", line))
    return tuple(tuple(shlex.split(piece)) for piece in pieces if piece.startswith(PROGRAMS))
