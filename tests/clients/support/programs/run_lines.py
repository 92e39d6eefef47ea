"""Command lines of calico-rkt as JSON lists on stdin, status, stdout and stderr of each as a JSON line out."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from contextlib import suppress

from calico_rkt.plugin.commands import tree

LONGEST = 120
"""Seconds after which a command is ended by SIGALRM."""


def run(args: list[str]) -> int:
    """In a process of its own: the exit status, as a shell has it; never back here."""
    signal.alarm(LONGEST)
    sys.argv = ["calico-rkt", *args]
    status: object = 1
    try:
        status = tree.main(args)
    except SystemExit as e:
        status = e.code
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(status if isinstance(status, int) else 1)


for name in tree.COMMANDS:
    tree.parser_for(name)
for line in sys.stdin:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            for number, file in ((0, open(os.devnull)), (1, out), (2, err)):  # noqa: SIM115, PTH123
                os.dup2(file.fileno(), number)
            run(json.loads(line))
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode(errors="replace"))
    print(json.dumps([status, *said]), flush=True)
