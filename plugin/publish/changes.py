"""The values of this room: what the host's files say, how a network stands, and what would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Published

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.overrides import File

Files = Mapping[str, "tuple[File, ...]"]
"""What the host's overrides say to each network, by its name; those whose confs can't be used are among them."""
NONE: Files = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class State:
    """One network; why says more.

    state is "in step", "stale", "edited", "not ours", "no conf", "not published" or "unusable".
    loaded: whether the kernel's chains carry the published digest; None when the network has no chains there.
    """

    network_id: str
    network: str
    state: str
    endpoints: int
    loaded: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A network whose files compile to something else than what is published; old is None when nothing is.

    edited: what is published was edited by hand, or is not ours; live is its text then, where it can be shown.
    revision: the datastore's count of the profile's changes, where it has one.
    """

    new: Published
    old: Published | None
    edited: bool = False
    live: str = ""
    revision: int = 0


class ChangedMeanwhileError(CniError):
    """A published profile of a cluster is not any more as it was shown."""

    def __init__(self, networks: str) -> None:
        super().__init__(Code.TRY_AGAIN, f"a published profile changed meanwhile, of {networks}")
