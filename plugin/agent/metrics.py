"""What calls came to in, Prometheus' text format out (version 0.0.4)."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from calico_rkt.plugin.cni.request import COMMANDS
from calico_rkt.plugin.process.trace import Phases

BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histograms' buckets, in seconds."""

_MOST_DONE = 64
"""Calls that are not counted yet."""

Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, float]


@dataclass(slots=True)
class _Histogram:
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


class Metrics:
    """Counts since the agent began; any thread may add to them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done: list[tuple[str, int, float, Phases]] = []
        self._requests: dict[tuple[str, int], int] = {}
        self._times: dict[tuple[str, str], _Histogram] = {}
        self._declined = 0
        self._restores = 0

    def done(self, command: str, code: int, seconds: float, phases: Phases) -> None:
        """One call was answered; code is that of its error, 0 for none."""
        self._done.append((command if command in COMMANDS else "none", code, seconds, phases))
        if len(self._done) >= _MOST_DONE:
            with self._lock:
                self._count()

    def _count(self) -> None:
        """Count what was done: many calls at once, or before somebody asks, since that takes some time for each."""
        while self._done:
            command, code, seconds, phases = self._done.pop()
            self._requests[command, code] = self._requests.get((command, code), 0) + 1
            for phase, took in (*phases, ("all", seconds)):
                found = self._times.get((command, phase))
                if found is None:
                    found = self._times[command, phase] = _Histogram()
                found.add(took)

    def declined(self) -> None:
        """One call was left to its launcher."""
        with self._lock:
            self._declined += 1

    def restored(self) -> None:
        """The nftables table was gone, and is built anew."""
        with self._lock:
            self._restores += 1

    def text(self, gauges: Iterable[tuple[str, str, Iterable[Sample]]]) -> str:
        """All of it. gauges: (name without prefix, what it says, its samples), asked for at this moment."""
        with self._lock:
            self._count()
            requests = [((("verb", v), ("code", str(c))), float(n)) for (v, c), n in sorted(self._requests.items())]
            times = {key: (list(h.buckets), h.seconds) for key, h in sorted(self._times.items())}
            declined, restores = self._declined, self._restores
        lines = _family("requests_total", "counter", "calls answered, by verb and CNI error code (0: none)", requests)
        lines += _family("declined_total", "counter", "calls left to their launcher", [((), declined)])
        lines += _family("restores_total", "counter", "times the table in the kernel was restored", [((), restores)])
        lines += _histograms(times)
        for name, what, samples in gauges:
            lines += _family(name, "gauge", what, samples)
        return "\n".join(lines) + "\n"


def _histograms(times: Mapping[tuple[str, str], tuple[list[int], float]]) -> list[str]:
    name = "request_seconds"
    lines = _family(name, "histogram", "time of answered calls, by verb and phase", ())
    for (verb, phase), (buckets, seconds) in times.items():
        labels: Labels = (("verb", verb), ("phase", phase))
        bounds = [*map(str, BOUNDS), "+Inf"]
        for bound, count in zip(bounds, accumulate(buckets), strict=True):
            lines.append(_line(f"{name}_bucket", (*labels, ("le", bound)), count))
        lines.append(_line(f"{name}_sum", labels, seconds))
        lines.append(_line(f"{name}_count", labels, sum(buckets)))
    return lines


def _family(name: str, kind: str, what: str, samples: Iterable[Sample]) -> list[str]:
    head = [f"# HELP calico_rkt_{name} {what}", f"# TYPE calico_rkt_{name} {kind}"]
    return head + [_line(name, labels, value) for labels, value in samples]


def _line(name: str, labels: Labels, value: float) -> str:
    named = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"calico_rkt_{name}{{{named}}} {value!r}" if named else f"calico_rkt_{name} {value!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
