"""Environment, stdin and arguments in; exit status and exactly one JSON object (or nothing) on stdout out."""

from __future__ import annotations

import json
import os
import sys
import traceback

from calico_rkt.plugin import interrupt
from calico_rkt.plugin.result import CniError, Code

NEWEST = "1.1.0"


def main() -> int:
    """The front door of dist/calico: with arguments the command line, with CNI_COMMAND a CNI plugin."""
    if len(sys.argv) > 1:
        from calico_rkt.plugin.cli import main as commands

        return commands(sys.argv[1:])
    if "CNI_COMMAND" not in os.environ:
        print(
            "calico: a CNI plugin: a container runtime calls it with CNI_COMMAND set. For people: calico --help",
            file=sys.stderr,
        )
        return 2
    return _cni()


def _cni() -> int:
    """One CNI call. Whatever is not a CniError becomes code 100, its traceback in the log only."""
    version = NEWEST
    try:
        if os.environ["CNI_COMMAND"] == "VERSION":
            _say({"cniVersion": NEWEST, "supportedVersions": list(_versions())})
            return 0
        from calico_rkt.plugin.request import RequestError, parse_request, read_stdin
        from calico_rkt.plugin.verbs import serve

        try:
            stdin = read_stdin(sys.stdin.buffer)
            interrupt.listen()
            request = parse_request(os.environ, stdin)
        except RequestError as e:
            version = e.cni_version
            raise
        version = request.conf.cni_version
        serve(request, lambda result: _say(result.to_json(version)))
    except CniError as e:
        return _failed(e, version)
    except Exception as e:  # noqa: BLE001 - whatever it is, the runtime gets CNI JSON and no traceback
        from calico_rkt.plugin.log import LOG, open_log

        if not LOG.handlers:
            open_log("info")
        LOG.info("%s", traceback.format_exc())
        return _failed(CniError(Code.INTERNAL, f"internal error: {type(e).__name__}", str(e)[:200]), version)
    return 0


def _versions() -> tuple[str, ...]:
    from calico_rkt.compiler.conf import SUPPORTED_VERSIONS

    return SUPPORTED_VERSIONS


def _failed(error: CniError, version: str) -> int:
    try:
        _say(error.to_json(version))
    except CniError:
        print(f"calico: {error.msg}", file=sys.stderr)
    return 1


def _say(value: object) -> None:
    """Print one JSON object; CniError when nobody reads it, so that an ADD that can not answer is undone."""
    try:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()
    except OSError as e:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise CniError(Code.IO, f"the answer could not be written: {e.strerror}") from e
