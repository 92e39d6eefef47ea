"""A CNI call's environment and stdin in; its exit status, and what to print given to a function, out.

One way for the plugin as a process and for the agent: they differ in how an answer reaches the runtime.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from calico_rkt.plugin.calls.dispatch import serve
from calico_rkt.plugin.cni.request import Request, RequestError, parse_request
from calico_rkt.plugin.cni.result import NEWEST
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.process.unexpected import as_cni_error


class DeclinedError(Exception):
    """Nothing was done: the call has to be done by a process of its own; why, in words."""


def run_call(
    environ: Mapping[str, str],
    stdin: bytes,
    say: Callable[[int, str], None],
    admit: Callable[[Request], object] = id,
    act: Callable[[Request, Callable[[str], None]], None] | None = None,
    *,
    nonce: str = "",
    netns_fd: int = -1,
) -> int:
    """Do one call; its exit status.

    say(code, JSON line) is called at most once, with CNI's error code or 0; CniError of it takes an ADD back.

    admit sees the request before anything is done, and may raise DeclinedError, which passes through; act does
    something else with it than its verb. nonce and netns_fd are the request's.
    """
    version = NEWEST
    try:
        try:
            request = parse_request(environ, stdin, nonce, netns_fd)
            admit(request)
        except RequestError as e:
            version = e.cni_version
            raise
        version = request.conf.cni_version
        (act or _serve)(request, lambda line: say(0, line))
    except DeclinedError:
        raise
    except CniError as e:
        return _failed(e, version, say)
    except Exception as e:  # noqa: BLE001 - see there
        return _failed(as_cni_error(e), version, say)
    return 0


def _serve(request: Request, say: Callable[[str], None]) -> None:
    serve(request, lambda result: say(f"{json.dumps(result)}\n"))


def _failed(error: CniError, version: str, say: Callable[[int, str], None]) -> int:
    try:
        say(error.code, json.dumps(error.to_json(version)) + "\n")
    except CniError as e:
        LOG.warning("%s; it was: %s", e.msg, error.msg)
    return 1
