"""Names of network namespaces out: a "host" and containers, made for one test and removed with it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_COUNT = itertools.count()


class Lab:
    """A "host" network namespace and any number of containers' ones, all gone at the end.

    with Lab() as lab: lab.run(lab.host, ["ip", "link"]); path = lab.container()
    A container's namespace is named by its path, /run/netns/NAME, as a runtime gives it.
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self.host = ""

    def __enter__(self) -> Self:
        self.host = self._new()
        self.run(self.host, ["ip", "link", "set", "lo", "up"], check=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for name in reversed(self._names):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        self._names.clear()

    def container(self) -> str:
        """A fresh container's namespace, loopback up; returns its path."""
        name = self._new()
        self.run(name, ["ip", "link", "set", "lo", "up"], check=True)
        return f"/run/netns/{name}"

    def remove(self, ns: str) -> None:
        """Take a namespace away before the end, as a runtime that dies does."""
        name = Path(ns).name
        self._names.remove(name)
        subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)

    def run(
        self,
        ns: str,
        argv: Sequence[str],
        stdin: str | None = None,
        *,
        check: bool = False,
        env: dict[str, str] | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in a namespace given by name or path; nsenter keeps the mount namespace as it is."""
        net = ns if "/" in ns else f"/run/netns/{ns}"
        done = subprocess.run(
            ["nsenter", f"--net={net}", "--", *argv],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **(env or {})},
            timeout=timeout,
        )
        if check and done.returncode:
            raise AssertionError(f"{' '.join(argv)} gave {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def python(
        self, ns: str, code: str, stdin: str | None = None, *, check: bool = True, env: dict[str, str] | None = None
    ) -> str:
        """Run Python code in a namespace; returns its stdout."""
        return self.run(ns, [sys.executable, "-c", code], stdin, check=check, env=env).stdout

    def start(self, ns: str, argv: Sequence[str]) -> subprocess.Popen[str]:
        """Start a program that goes on; the caller ends it."""
        net = ns if "/" in ns else f"/run/netns/{ns}"
        return subprocess.Popen(
            ["nsenter", f"--net={net}", "--", *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _new(self) -> str:
        name = f"crkt-{os.getpid()}-{next(_COUNT)}"
        subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
        self._names.append(name)
        return name
