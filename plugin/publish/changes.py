"""The values of this room: what the host's files say, how a network stands, and what would change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.publish.forms import Form, form_of

if TYPE_CHECKING:
    from calico_rkt.compiler.grammar.overrides import File

Files = Mapping[str, "tuple[File, ...]"]
"""What the host's overrides say to each network, by its name; those whose confs can't be used are among them."""
NONE: Files = MappingProxyType({})
Stored = Callable[[str], tuple[str, int]]
"""By a network's id the text of its profile as it stands there, edited or not, and its revision."""


@dataclass(frozen=True, slots=True)
class NetworkState:
    """One network; why says more.

    state is "in step", "stale", "edited", "not ours", "no conf", "not published" or "unusable"; and where what is
    published is what the files say, in another form than this build writes it in, "older form" or "newer form".
    loaded: whether the kernel's chains carry the published digest; None when the network has no chains there.
    """

    network_id: str
    network: str
    state: str
    endpoints: int
    loaded: bool | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """A network whose files compile to something else than what is published; old is None when nothing is.

    edited: what is published was edited by hand, or is not ours; live is its text then, where it can be shown.
    revision: the datastore's count of the profile's changes, where it has one. same_policy: what is published says the
    same in an older form, so that nobody need be asked.
    """

    new: Published
    old: Published | None
    edited: bool = False
    live: str = ""
    revision: int = 0
    same_policy: bool = False


def change_to(new: Published, published: Callable[[str], Published | None], stored: Stored) -> ProfileChange | None:
    """What publishing this would change; None where the same is published, be it in a form that is newer than this.

    published: the profile in force, by its id. stored: what stands there where that is not one of ours, or was edited,
    and its revision. CniError 106 where another network has this id.
    """
    try:
        old = published(new.network_id)
    except CniError as e:
        if e.code != Code.PROFILE_UNUSABLE:
            raise
        live, revision = stored(new.network_id)
        return ProfileChange(new, None, edited=True, live=live, revision=revision)
    if old is not None and old.network != new.network:
        raise CniError(
            Code.PROFILE_UNUSABLE,
            f"the networks {old.network!r} and {new.network!r} have one id, {new.network_id}",
            "give one of them another name",
        )
    if old is not None and old.digest == new.digest:
        return None
    if old is None:
        return ProfileChange(new, None)
    form = form_of(old, new)
    if form is Form.NEWER:
        return None
    return ProfileChange(new, old, revision=old.revision, same_policy=form is Form.OLDER)


def judged_state(
    seen: NetworkState,
    published: Published | None,
    known: Mapping[str, NetConf],
    compiled: Callable[[NetConf], Published],
    compiles_to: Callable[[NetConf, Published], bool],
) -> NetworkState:
    """How a network stands whose profile, if there is one, can be used: beside what its conf compiles to.

    compiles_to: whether it compiles to what is published, which takes a third of compiling it.
    """
    name = published.network if published is not None else seen.network
    if name not in known:
        return replace(seen, network=name, state="no conf" if published else "not published")
    try:
        if published is not None and compiles_to(known[name], published):
            return replace(seen, network=name, state="in step")
        new = compiled(known[name])
    except CniError as e:
        return replace(seen, network=name, state="unusable", why=e.msg)
    if published is None:
        return replace(seen, network=name, state="not published")
    form = form_of(published, new)
    return replace(seen, network=name, state=form.value, why=_OF_A_FORM.get(form, ""))


_OF_A_FORM = {
    Form.OLDER: "same packets; calico-rkt apply writes it anew, without asking",
    Form.NEWER: "same packets; a newer build wrote it, and this one leaves it as it is",
}


class HalfDoneError(CniError):
    """What was to be published may be in force; the words say how far it came, as far as that is known."""


@contextmanager
def in_force(changes: Sequence[ProfileChange], lacks: str, cure: str) -> Iterator[None]:
    """Who asked is told that the change holds, whatever becomes of what comes after it: HalfDoneError, not CniError.

    lacks: what did not follow, to stand behind "is in force"; cure: what to do then.
    """
    try:
        yield
    except CniError as e:
        names = ", ".join(c.new.network for c in changes)
        raise HalfDoneError(
            e.code,
            f"the new policy of {names} is in force{lacks}: {e.msg}",
            "; ".join(filter(None, (e.details, cure))),
        ) from e


class ChangedMeanwhileError(CniError):
    """A published profile of a cluster is not any more as it was shown."""

    def __init__(self, networks: str) -> None:
        super().__init__(Code.TRY_AGAIN, f"a published profile changed meanwhile, of {networks}")
