"""What a pass may know beside the network that it changes."""

from __future__ import annotations

from dataclasses import dataclass

from calico_rkt.compiler.definitions import Definitions


@dataclass(frozen=True, slots=True)
class Context:
    """definitions are the workspace's shared names."""

    definitions: Definitions = Definitions()  # noqa: RUF009 - frozen
