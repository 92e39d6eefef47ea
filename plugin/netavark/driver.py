"""A verb of netavark's driver plugins and JSON on stdin in; its answer, or what went wrong, as JSON on stdout out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

import calico_rkt
from calico_rkt.compiler.cli.process import read_whole
from calico_rkt.compiler.diagnostics import CompileError, render_diagnostics
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.netavark.asked import read_container, read_network
from calico_rkt.plugin.process import signals, streams
from calico_rkt.plugin.process.log import LOG, open_log

VERBS: Mapping[str, str] = {"create": "", "setup": "NETNS", "teardown": "NETNS", "info": ""}
"""What netavark may say, and the argument that it gives with it."""
API_VERSION = "1.0.0"
"""Of netavark's interface to its plugins."""
LARGEST = 1 << 20
"""Bytes of stdin: a container with a thousand ports has some 100 KiB."""


def run(args: Sequence[str]) -> int:
    """Do one call; 0, or 1 with {"error": text} on stdout. args: the verb, and its argument."""
    signals.let_through()  # until stdin is read: who writes there may never end
    try:
        try:
            answer = _served(args)
        except CompileError as e:
            raise CniError(Code.INVALID_CONF, render_diagnostics(e.diagnostics).rstrip("\n")) from e
        if answer is not None:
            streams.answer(json.dumps(answer) + "\n")
    except CniError as e:
        return _failed(e)
    except OSError as e:  # nobody reads the answer
        streams.warn(f"calico: the answer could not be written: {e.strerror or e}\n")
        return 1
    except Exception as e:  # noqa: BLE001 - see there
        from calico_rkt.plugin.process.unexpected import as_cni_error

        return _failed(as_cni_error(e))
    return 0


def _failed(error: CniError) -> int:
    signals.listen_no_more()
    LOG.info("netavark: %d %s: %s", error.code, error.msg, error.details)
    told = f"{error.msg}; {error.details}" if error.details else error.msg
    try:
        streams.answer(json.dumps({"error": told}) + "\n")
    except OSError:
        streams.warn(f"calico: {told}\n")
    return 1


def _served(args: Sequence[str]) -> Mapping[str, Any] | None:
    open_log("info")
    verb, *more = args or ("",)
    wanted = VERBS.get(verb)
    if wanted is None:
        raise _misused(f"netavark's drivers know no verb {verb[:40]!r}" if verb else "no verb was given")
    if len(more) != len(wanted.split()):
        raise _misused(f"{verb} takes {wanted or 'no argument'}, not {' '.join(more)[:80] or 'nothing'}")
    if verb == "info":
        return {"version": calico_rkt.__version__, "api_version": API_VERSION}
    asked = _read(sys.stdin.buffer if sys.stdin else None)
    signals.listen()
    return _ACTS[verb](asked, *more)


def _misused(why: str) -> CniError:
    usage = "; ".join(" ".join(filter(None, (verb, argument))) for verb, argument in VERBS.items())
    return CniError(
        Code.INVALID_ENVIRONMENT, why, f"netavark calls this, with one of: {usage}; for people: calico --help"
    )


def _read(stream: BinaryIO | None) -> Mapping[str, Any]:
    """The object on stdin; CniError where there is none: at a terminal nobody would ever end it."""
    if stream is None or stream.isatty():
        raise CniError(Code.DECODE, "there is no JSON on stdin", "netavark gives it: this is not for people")
    try:
        data = read_whole(stream, LARGEST + 1)
    except OSError as e:
        raise CniError(Code.IO, f"stdin can't be read: {e.strerror}") from e
    if len(data) > LARGEST:
        raise CniError(Code.DECODE, f"there are more than {LARGEST} bytes on stdin")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as e:
        why = "it is empty" if not data.strip() else str(e) or "it is nested too deeply"
        raise CniError(Code.DECODE, f"stdin is no JSON: {why}") from e
    if not isinstance(found, dict):
        raise CniError(Code.DECODE, "stdin is JSON, but no object")
    return found


def _create(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    from calico_rkt.plugin.netavark.network import create

    return create(read_network(asked))


def _setup(asked: Mapping[str, Any], netns: str) -> Mapping[str, Any]:
    from calico_rkt.plugin.netavark.container import setup

    return setup(read_container(asked), netns)


def _teardown(asked: Mapping[str, Any], _netns: str) -> None:
    from calico_rkt.plugin.netavark.container import teardown

    teardown(read_container(asked))


_ACTS: Mapping[str, Callable[..., Mapping[str, Any] | None]] = {
    "create": _create,
    "setup": _setup,
    "teardown": _teardown,
}
