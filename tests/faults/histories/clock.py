"""A lab in; clocks that jump for calls and for an agent that runs, out.

CLOCK_REALTIME by libfaketime, which looks into a file at each question; the two clocks that count since the boot by a
time namespace, which a container of a restored machine has, too.
"""

from __future__ import annotations

from tests.clients.support.lab import Lab

LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
SHIFTS = ("-400d", "+3650d", "-1s", "+0")
_FILE = "/run/lab/clock"
_SECONDS = "100000000"


class Clock:
    """What a call is started with: words before it, and more of an environment."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.before: tuple[str, ...] = ()
        self.environment: dict[str, str] = {}
        lab.write(_FILE, "+0\n")

    @property
    def false(self) -> dict[str, str]:
        """The environment of who believes the file, now and later."""
        own = {"FAKETIME_TIMESTAMP_FILE": _FILE, "FAKETIME_NO_CACHE": "1", "NO_FAKE_STAT": "1"}
        return {"LD_PRELOAD": LIBRARY, "FAKETIME_DONT_FAKE_MONOTONIC": "1", **own}

    def jump(self, shift: str) -> None:
        """For calls from now on, and for an agent that was started with the false clock."""
        self._lab.write(_FILE, f"{shift}\n")
        self.environment = self.false

    def other_boot(self) -> None:
        """Calls from now on are in a time namespace: their boot was years ago."""
        self.before = ("unshare", "-T", "--monotonic", _SECONDS, "--boottime", _SECONDS, "--fork", "--kill-child")

    def right(self) -> None:
        self._lab.write(_FILE, "+0\n")
        self.before, self.environment = (), {}
