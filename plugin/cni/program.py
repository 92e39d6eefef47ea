"""A plugin's file, a call's environment and conf in; what it printed, or its error as a CniError, out."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from calico_rkt.compiler.typed import Any
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.signals import is_undoing_in_haste, stop_if_asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import Popen
    from typing import BinaryIO

_SHOWN = 500
_LOOKS = 0.2
"""Seconds between two looks at whether a call that waits for a program was asked to end."""
_AGAIN = 0.02
"""Seconds between two looks at whether those that were asked to end have done so."""
_IN_HASTE = 5.0
"""Seconds that a program has to take back what it has begun, once the call was asked to end; and to end itself."""


class EndedError(CniError):
    """A program was not waited for any more: it may have done all that it was asked for, and nobody has its answer."""


def absolute(folder: str) -> str:
    """A path that counts from where we were started; as it is where that is gone by now, as a caller's may be."""
    if folder.startswith("/"):
        return folder
    try:
        return str(Path.cwd() / folder)
    except FileNotFoundError:
        return folder


def find(name: str, folders: Iterable[str]) -> Path | None:
    """The program of this name in the first of the folders that has it; relative ones as absolute() has them."""
    for folder in folders:
        found = Path(absolute(folder), name)
        if found.is_file() and os.access(found, os.X_OK):
            return found
    return None


def run(
    who: str,
    argv: Sequence[str],
    environ: Mapping[str, str],
    conf: bytes,
    *,
    handed: Sequence[int] = (),
    most: float = 0,
    to_end: float = 0,
) -> bytes:
    """Run one verb, CNI_COMMAND of environ; stdout.

    who: what errors call it, such as "ipam plugin 'dhcp'". handed: descriptors that it gets, too. most: seconds that
    it may take; 0: no limit but that of whoever called us. to_end: seconds that our own program has once it is asked
    to end, before it is killed: what it has started is its own to end. 0: somebody else's, which has a few; it is ended
    with all that it has started and that stayed in its process group, since that may be the plugin, and it a wrapper.
    CniError as the plugin gave it, or 108 where it can't be run or ends without a CNI error. EndedError 11 where it
    took longer, or we were asked to end: it is ended then.
    """
    import subprocess  # here, not above: most calls run nobody else

    pipe, command = subprocess.PIPE, environ.get("CNI_COMMAND", "")
    try:
        with _file_of(conf) as told:
            process = subprocess.Popen(
                argv,
                stdin=told,
                stdout=pipe,
                stderr=pipe,
                env=environ,
                pass_fds=handed,
                process_group=None if to_end else 0,
            )
    except OSError as e:
        raise CniError(Code.DELEGATE, f"the {who} ({argv[0]}) can't be run: {e.strerror}") from e
    with process:
        try:
            out, err = _said(process, lambda waited: _wait_on(who, command, most, waited))
        except BaseException:
            if to_end:
                _end(process, to_end)
            else:
                _end_group(process)
            raise
    if process.returncode:
        raise _error(who, command, process.returncode, out, err)
    return out


def _file_of(conf: bytes) -> BinaryIO:
    """A file in memory, to be read from its beginning: nobody has to wait until all of it is read."""
    file = os.fdopen(os.memfd_create("conf"), "w+b")
    file.write(conf)
    file.seek(0)
    return file


def _said(process: Popen[bytes], wait_on: Callable[[float], object]) -> tuple[bytes, bytes]:
    """What a program said on stdout and stderr until it ended; wait_on is asked again and again meanwhile."""
    from subprocess import TimeoutExpired

    begun = time.monotonic()
    while True:
        try:
            return process.communicate(timeout=_LOOKS)
        except TimeoutExpired:
            wait_on(time.monotonic() - begun)


def _wait_on(who: str, command: str, most: float, waited: float) -> None:
    """EndedError 11 where a call that has waited so long should wait no more."""
    try:
        stop_if_asked()
    except CniError as e:
        raise EndedError(e.code, f"{e.msg}, while it waited for {who}", f"its {command} was ended") from e
    most = _IN_HASTE if is_undoing_in_haste() else most
    if most and waited > most:
        raise EndedError(Code.TRY_AGAIN, f"{who} did not end its {command} within {most:.0f} s", "it was ended")


def _end(process: Popen[bytes], patience: float) -> None:
    from subprocess import TimeoutExpired

    process.terminate()
    with suppress(TimeoutExpired):
        process.wait(patience)
    process.kill()


def _end_group(process: Popen[bytes]) -> None:
    """End a program and what it has started. It is waited for last: until then nobody else has its number."""
    with suppress(ProcessLookupError):
        for signum in (signal.SIGTERM, signal.SIGKILL):
            os.killpg(process.pid, signum)
            _wait_for_group(process.pid)


def _wait_for_group(number: int) -> None:
    """Until none of it lives: also who is killed may be at work until a processor has told him."""
    from calico_rkt.plugin.cni.group import lives

    until = time.monotonic() + _IN_HASTE
    while lives(number) and time.monotonic() < until:
        time.sleep(_AGAIN)


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


def _error(who: str, command: str, status: int, out: bytes, err: bytes) -> CniError:
    """The plugin's own error where it gave one as CNI asks, else what it left behind."""
    said = loaded(out)
    code, msg = said.get("code"), said.get("msg")
    if isinstance(code, int) and not isinstance(code, bool) and code > 0 and isinstance(msg, str):
        return CniError(code, f"{who}: {msg}", str(said.get("details") or ""))
    how = f"exit status {status}" if status > 0 else f"signal {-status}"
    return CniError(Code.DELEGATE, f"{who} failed its {command} with {how} and no CNI error", shown(err or out))
