"""Environment, stdin and arguments in; exit status and exactly one JSON object (or nothing) on stdout out."""

from __future__ import annotations

import gc
import os
import sys

from calico_rkt.compiler.typed import NoReturn
from calico_rkt.plugin.errors import CniError, Code

NETAVARK = ("create", "setup", "teardown", "info")
"""netavark starts its drivers with one of these, by a link called calico: no command has such a name."""


def process() -> NoReturn:
    """main() as all that a process does.

    What a CNI call has said and written stands, so nothing is torn down behind it: that is a tenth of its time.
    """
    if not _is_call(sys.argv[1:]):
        import signal

        status = main()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is over: the end of Python has words for Ctrl-C, and no guard
        sys.exit(status)
    gc.disable()  # one call, one answer: what is made for it stays in use
    os._exit(main())


def main() -> int:
    """The front door of dist/calico: with CNI_COMMAND a CNI plugin, else netavark's driver or the command line.

    The launcher gives a CNI call two arguments of its own: `--trace`, which people may give, too, prints where the
    time went to stderr; `--undo NONCE` takes back what an agent that died had begun of this ADD.
    """
    arguments = sys.argv[1:]
    if _is_call(arguments):
        return _cni(arguments)
    if arguments and arguments[0] in NETAVARK:
        from calico_rkt.plugin.netavark.driver import run

        return run(arguments)
    if arguments:
        from calico_rkt.plugin.commands.tree import main as commands

        return commands(arguments)
    print(
        "calico: a CNI plugin: a container runtime calls it with CNI_COMMAND set. For people: calico --help",
        file=sys.stderr,
    )
    return 2


def _is_call(arguments: list[str]) -> bool:
    return "CNI_COMMAND" in os.environ and (not arguments or arguments[0] in ("--trace", "--undo"))


def _cni(arguments: list[str]) -> int:
    """One CNI call, done by this process; what goes wrong before the call itself begins is an answer, too."""
    # Here, not above: a person's command needs none of it.
    import json

    from calico_rkt.plugin.cni.result import NEWEST
    from calico_rkt.plugin.process import signals, streams

    try:
        try:
            return _call(arguments)
        finally:
            signals.listen_no_more()
    except CniError as e:
        error = e
    except Exception as e:  # noqa: BLE001 - see there
        from calico_rkt.plugin.process.unexpected import as_cni_error

        error = as_cni_error(e)
    try:
        _say(error.code, json.dumps(error.to_json(NEWEST)) + "\n")
    except CniError:
        streams.warn(f"calico: {error.msg}\n")
    return 1


def _call(arguments: list[str]) -> int:
    if os.environ["CNI_COMMAND"] == "VERSION":
        import json

        from calico_rkt.compiler.conf.netconf import SUPPORTED_VERSIONS
        from calico_rkt.plugin.cni.result import NEWEST

        _say(0, json.dumps({"cniVersion": NEWEST, "supportedVersions": list(SUPPORTED_VERSIONS)}) + "\n")
        return 0
    from calico_rkt.plugin.calls import call
    from calico_rkt.plugin.cni.request import read_stdin
    from calico_rkt.plugin.process import locks, signals, streams, trace

    stdin = read_stdin(sys.stdin.buffer)
    if arguments[:1] == ["--undo"]:  # the launcher holds all back that would end it
        from calico_rkt.plugin.calls.undo import undoing_add

        return call.run_call(os.environ, stdin, _say, act=undoing_add(arguments[1] if len(arguments) > 1 else ""))
    signals.listen()
    with locks.at_most(locks.CALLS):
        if not arguments:
            return call.run_call(os.environ, stdin, _say)
        with trace.collecting() as phases:
            status = call.run_call(os.environ, stdin, _say)
    streams.warn(trace.table(phases()))
    return status


def _say(_code: int, line: str) -> None:
    """Print one JSON object; CniError when nobody reads it, so that an ADD that can not answer is undone.

    No signal ends this process from here on: what the runtime is told has to hold.
    """
    from calico_rkt.plugin.process import signals, streams

    signals.listen_no_more()
    try:
        streams.answer(line)
    except OSError as e:
        raise CniError(Code.IO, f"the answer could not be written: {e.strerror or e}") from e
