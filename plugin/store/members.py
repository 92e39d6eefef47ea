"""A cluster's members in, what the first of them that can answer says out; and the words for what they refuse.

Who is asked next, and for how long, is decided here for every client; how one member is asked is the client's own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.access import PATIENCE, Access, UnreachableError

_REFUSED_FOR = 2.0
"""Seconds after which members that all refuse to talk are not asked again."""
_PAUSE = 0.05
T = TypeVar("T")


class NotNowError(Exception):
    """A member can't be asked, or can't answer at the moment. refused: it has surely done nothing."""

    def __init__(self, words: str, *, refused: bool = False) -> None:
        super().__init__(words)
        self.refused = refused


class UnusableError(CniError):
    """One member can't be talked with, and to ask it again helps nothing; another one may be of use."""


class Members:
    """A cluster's members, of which the one that answered last is asked first. Not to be shared between threads.

    begin() starts the clock of a call.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._order = list(access.endpoints)
        self._until = 0.0
        self._lost = self._each_anew = False
        self.begin()

    @property
    def first(self) -> str:
        """Who is asked next; empty where nobody is named."""
        return self._order[0] if self._order else ""

    def begin(self, seconds: float = PATIENCE) -> None:
        """All requests from here on have this many seconds together."""
        self._until = time.monotonic() + seconds
        self._lost = self._each_anew = False

    def be_patient(self) -> None:
        """Each request from here on has that many seconds of its own, until one got no answer.

        For a command: between two of them people read and decide.
        """
        self._each_anew = True

    def seconds_left(self) -> float:
        """How long this call may still take."""
        return max(0.0, self._until - time.monotonic())

    def first_answer(self, ask: Callable[[str, float], T]) -> T:
        """Ask one member after the other until one answers or time is up: UnreachableError then.

        ask is given a member and its seconds; it raises NotNowError or UnusableError where the next one is to be asked.
        Where all are of no use, the first one's UnusableError is raised at once.
        """
        begun = time.monotonic()
        if self._each_anew and not self._lost:
            self._until = begun + PATIENCE
        problems: dict[str, str] = {}
        while True:
            refused = True
            unusable: list[UnusableError] = []
            for member in tuple(self._order):
                left = self._until - time.monotonic()
                if left <= 0:
                    break
                try:
                    answer = ask(member, min(max(left / len(self._order), 1.0), left))
                except NotNowError as e:
                    problems[member] = str(e)
                    refused = refused and e.refused
                    self._is_no_use(member, problems[member])
                except UnusableError as e:
                    problems[member] = f"{e.msg}: {e.details}" if e.details else e.msg
                    unusable.append(e)
                    self._is_no_use(member, problems[member])
                else:
                    self._order.remove(member)
                    self._order.insert(0, member)
                    return answer
            if len(unusable) == len(self._order) > 0:
                raise unusable[0]
            now = time.monotonic()
            if self._lost or now + _PAUSE >= self._until or (refused and now - begun > _REFUSED_FOR):
                self._lost = True  # an undo that follows asks each member once
                raise UnreachableError(
                    Code.TRY_AGAIN,
                    f"no etcd member answers: {', '.join(self._access.endpoints)}",
                    "\n".join(f"{m}: {problems.get(m, 'not asked: time was up')}" for m in self._access.endpoints),
                )
            time.sleep(_PAUSE)

    def _is_no_use(self, member: str, why: str) -> None:
        """The next one is asked first from now on."""
        LOG.info("etcd %s: %s", member, why)
        if self._order[0] == member:
            self._order.append(self._order.pop(0))


def tls_refusal(member: str, problem: Exception) -> UnusableError | None:
    """The error where both ends disagree about TLS, since asking again helps nothing; None for any other problem."""
    inner = next((a for a in problem.args if isinstance(a, Exception)), problem)  # urllib3 puts its own around it
    kind = type(inner).__name__  # by name: ssl is imported only where TLS is used
    if kind == "SSLCertVerificationError":
        return UnusableError(Code.DATASTORE, f"the certificate of {member} is not trusted", str(inner))
    if kind == "SSLError":
        return UnusableError(Code.DATASTORE, f"{member} and this host find no way to talk by TLS", str(inner))
    return None


def tls_files_unusable(files: str, why: Exception) -> CniError:
    return CniError(Code.INVALID_CONF, f"the TLS files of etcd can't be used: {files}", str(why))


def asks_for_user(member: str) -> CniError:
    return CniError(Code.DATASTORE, f"etcd at {member} asks for a user: set etcd_username or ETCD_USERNAME")


def refuses_user(member: str, why: str) -> CniError:
    return CniError(Code.DATASTORE, f"etcd at {member} refuses this user: {why}")


def refuses_request(member: str, why: str) -> CniError:
    return CniError(Code.DATASTORE, f"etcd at {member} refuses a request: {why}")
