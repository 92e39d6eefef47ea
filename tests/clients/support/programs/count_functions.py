"""dist/calico and its arguments in; its agent, which writes verb and functions of each call to a file, out.

Counted are the functions, generators and comprehensions of Python that the thread of a call enters, from its connection
to its end.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import FrameType
from typing import Any

FILE = "/run/lab/functions"

sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0])

from calico_rkt.plugin.agent.serve import Conversation  # noqa: E402 - of the built file
from calico_rkt.plugin.agent.wire import Call  # noqa: E402

hold, done = Conversation.hold, Conversation._do


def counted(self: Conversation) -> None:
    entered = [0]

    def count(_frame: FrameType, event: str, _of: object) -> None:
        entered[0] += event == "call"

    def with_its_verb(call: Call, begun: float) -> None:
        verb.append(call.environ["CNI_COMMAND"])
        done(self, call, begun)

    verb: list[str] = []
    of_a_call: Any = self
    of_a_call._do = with_its_verb
    sys.setprofile(count)
    try:
        hold(self)
    finally:
        sys.setprofile(None)
    with Path(FILE).open("a") as file:
        file.write(f"{verb[0]} {entered[0]}\n")


Conversation.hold = counted  # type: ignore[method-assign]
runpy.run_path(sys.argv[0], run_name="__main__")
