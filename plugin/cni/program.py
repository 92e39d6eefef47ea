"""A plugin's file, a call's environment and conf in; what it printed, or its error as a CniError, out."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from calico_rkt.compiler.typed import Any
from calico_rkt.plugin.errors import CniError, Code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import CompletedProcess

_SHOWN = 500


def find(name: str, folders: Iterable[str]) -> Path | None:
    """The program of this name in the first of the folders that has it; relative ones count from where we started."""
    for folder in folders:
        found = Path.cwd() / folder / name
        if found.is_file() and os.access(found, os.X_OK):
            return found
    return None


def run(who: str, argv: Sequence[str], environ: Mapping[str, str], conf: bytes, *, handed: Sequence[int] = ()) -> bytes:
    """Run one verb, CNI_COMMAND of environ; stdout. No time limit but that of whoever called us.

    who: what errors call it, such as "ipam plugin 'dhcp'". handed: descriptors that it gets, too.
    CniError as the plugin gave it, or 108 where it can't be run or ends without a CNI error.
    """
    import subprocess  # here, not above: most calls run nobody else

    try:
        done = subprocess.run(argv, input=conf, capture_output=True, check=False, env=environ, pass_fds=handed)
    except OSError as e:
        raise CniError(Code.DELEGATE, f"the {who} ({argv[0]}) can't be run: {e.strerror}") from e
    if done.returncode:
        raise _error(who, environ.get("CNI_COMMAND", ""), done)
    return done.stdout


def loaded(text: bytes) -> Mapping[str, Any]:
    """A JSON object; empty where the text is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def shown(text: bytes) -> str:
    """The end of what a program said, for an error's details."""
    return text[-_SHOWN:].decode(errors="replace").strip()


def _error(who: str, command: str, done: CompletedProcess[bytes]) -> CniError:
    """The plugin's own error where it gave one as CNI asks, else what it left behind."""
    said = loaded(done.stdout)
    code, msg = said.get("code"), said.get("msg")
    if isinstance(code, int) and not isinstance(code, bool) and code > 0 and isinstance(msg, str):
        return CniError(code, f"{who}: {msg}", str(said.get("details") or ""))
    how = f"exit status {done.returncode}" if done.returncode > 0 else f"signal {-done.returncode}"
    return CniError(
        Code.DELEGATE, f"{who} failed its {command} with {how} and no CNI error", shown(done.stderr or done.stdout)
    )
