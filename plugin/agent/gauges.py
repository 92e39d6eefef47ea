"""What is on this host and in its datastores, counted at the moment it is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

import calico_rkt
from calico_rkt.plugin.agent.metrics import Sample
from calico_rkt.plugin.attest import record
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.process.log import LOG
from calico_rkt.plugin.store.folders import folders
from calico_rkt.plugin.store.journal import Journal
from calico_rkt.plugin.store.local import LocalStore, Usage, own_stores

T = TypeVar("T")
Gauge = tuple[str, str, Iterable[Sample]]

_SECONDS_KEPT = 60.0
"""How long what `status` said of profiles is kept: it compiles every conf of the host, in a process of its own."""
_PATIENCE = 30.0


class Gauges:
    """The agent's gauges. own is the file that `calico-rkt status` is run from."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._began = time.time()
        self._profiles: tuple[Sample, ...] = ()
        self._asked = -_SECONDS_KEPT
        self._asking = threading.Lock()

    def now(self, *, brief: bool = False) -> list[Gauge]:
        """All of them, or without those that take long; one that can't be counted has no sample, the log says why."""
        endpoints, used, size = _pools()
        waiting = _counted("journal_length", lambda: [((), float(_journal()))])
        return [
            ("build_info", "the build that this agent serves", [((("build", calico_rkt.BUILD),), 1.0)]),
            ("start_time_seconds", "when this agent began, in seconds of Unix time", [((), self._began)]),
            ("resident_bytes", "memory of the agent", _counted("memory", lambda: [((), float(_resident()))])),
            ("endpoints", "attachments of this host, by network", endpoints),
            ("pool_addresses_used", "addresses taken on this host, by network", used),
            ("pool_addresses", "addresses in the subnets of a network", size),
            (
                "profiles",
                "networks of this host's confs, by datastore and state of their profile; a minute old at most",
                () if brief else self._states(),
            ),
            ("journal_length", "releases that a cluster is to be told of", waiting),
            *_attested(),
        ]

    def _states(self) -> tuple[Sample, ...]:
        if not self._asking.acquire(blocking=False):
            return self._profiles  # another reader finds it out at this moment
        try:
            return self._found_out()
        finally:
            self._asking.release()

    def _found_out(self) -> tuple[Sample, ...]:
        if time.monotonic() - self._asked < _SECONDS_KEPT:
            return self._profiles
        self._asked, self._profiles = time.monotonic(), ()
        argv = [sys.executable, "-IS", "-Xutf8", self._own, "status", "--format", "json", "--no-agent"]
        try:
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_PATIENCE, env=no_cni()
            )
            networks = json.loads(done.stdout)["networks"]
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as e:
            LOG.warning("the state of the profiles is not known: %s", e)
            return ()
        found: dict[tuple[str, str], int] = {}
        for network in networks:
            key = network["datastore"], network["state"]
            found[key] = found.get(key, 0) + 1
        self._profiles = tuple(((("datastore", d), ("state", s)), float(n)) for (d, s), n in sorted(found.items()))
        return self._profiles


def _attested() -> list[Gauge]:
    """What the last `attest --record` came to; no sample where there was none since the boot."""
    last = record.last(folders()[0])
    outcomes = [((("outcome", o),), float(o == last.outcome)) for o in record.OUTCOMES] if last else []
    age = [((), max(0.0, time.time() - last.at))] if last else []
    return [
        ("attested", "1 for what the last attestation came to: equal, different, not proven, failed", outcomes),
        ("attested_age_seconds", "how long ago that was", age),
    ]


def no_cni() -> dict[str, str]:
    """The environment for a command of ours: the agent may have been started with a call's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CNI_")}


def _pools() -> tuple[list[Sample], list[Sample], list[Sample]]:
    """Endpoints, addresses taken, addresses there are; by network."""
    endpoints: list[Sample] = []
    used: list[Sample] = []
    size: list[Sample] = []
    for open_store in own_stores().values():
        for use in _counted("attachments", partial(_usage, open_store)):
            labels = (("network", use.network),)
            endpoints.append((labels, float(use.endpoints)))
            used.append((labels, float(use.addresses)))
            size.append((labels, float(sum(net.num_addresses for net in use.subnets))))
    return endpoints, used, size


def _usage(open_store: Callable[[], LocalStore]) -> tuple[Usage, ...]:
    store = open_store()
    try:
        return store.usage() if store.is_there() else ()
    finally:
        store.close()


def _counted(what: str, count: Callable[[], Sequence[T]]) -> Sequence[T]:
    """What can't be counted has no sample, and takes none from the others."""
    try:
        return count()
    except (CniError, OSError, ValueError) as e:
        LOG.warning("%s can not be counted: %s", what, e)
        return ()


def _journal() -> int:
    _, lib_dir = folders()
    return Journal(lib_dir / "journal").length()


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a line of proc
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
