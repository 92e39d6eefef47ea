"""What holds for every test of every folder: how long it may take, what is shown of it, and what it leaves behind."""

from __future__ import annotations

import gc
import signal
import subprocess
import tempfile
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests import leftovers
from tests.chroots import trees

_LINES_AT_ONCE = 12

settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
"""How long an example takes says how busy the machine is, and nothing about the claim."""
settings.register_profile("gate", settings.get_profile("explore"), derandomize=True)
settings.load_profile("gate")
"""What decides about a merge tries the same examples each time; `make explore` looks for new ones."""


def pytest_configure(config: pytest.Config) -> None:
    leftovers.adopt_orphans()
    trees.keep_trees_of_this_run()
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        _hand_on_signals()
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # who is told to end takes down what it has built


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(_FailuresAtOnce(terminal))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        trees.drop_trees()


def _hand_on_signals() -> None:
    """A run in the background, or under nohup, ignores signals, and what it starts would inherit that.

    A signal that is caught is the default again in a program that is started; the run itself ignores it as before.
    """
    for which in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(which) == signal.SIG_IGN:
            signal.signal(which, lambda *_: None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A program that failed is shown with what it said: its error has only the exit status."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    while error is not None:
        if isinstance(error, subprocess.CalledProcessError | subprocess.TimeoutExpired):
            for name, said in (("stdout", error.stdout), ("stderr", error.stderr)):
                if said:
                    text = said if isinstance(said, str) else said.decode(errors="replace")
                    report.sections.append((f"{name} of {error.cmd}", text))
        error = error.__cause__ or error.__context__
    return report


class _FailuresAtOnce:
    """Names each failure when it happens, with its error's first lines: a run that is cut short says what it found."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.failed:
            return
        crash = getattr(report.longrepr, "reprcrash", None)
        said = crash.message if crash else report.longreprtext
        self._terminal.write_line("")
        self._terminal.write_line(f"{report.when} of {report.nodeid} failed after {report.duration:.0f} s")
        for line in said.splitlines()[:_LINES_AT_ONCE]:
            self._terminal.write_line(f"    {line}")


@pytest.fixture(scope="session", autouse=True)
def _no_files_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Temporary files that no fixture made go to a folder of this run's own, and are gone at its end."""
    folder = tmp_path_factory.mktemp("tmp")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TMPDIR", str(folder))
        patched.setattr(tempfile, "tempdir", None)
        yield
    left = sorted(path.name for path in folder.iterdir())
    assert not left, f"temporary files left in {folder}: {left}"


@pytest.fixture(autouse=True)
def _garbage_is_collected() -> Iterator[None]:
    """A command's process collects none; one that a test runs in its own would leave that to all tests after it."""
    yield
    if not gc.isenabled():
        gc.unfreeze()
        gc.enable()


@pytest.fixture(scope="module", autouse=True)
def _nothing_left() -> Iterator[None]:
    """No process, namespace, cgroup or link of a module's tests outlives them, also where one of them failed."""
    before, host = leftovers.children(), leftovers.on_the_host()
    yield
    left = [*leftovers.settled(before), *leftovers.end_namespaces(), *(leftovers.on_the_host() - host)]
    assert not left, "left behind by the tests of this module: " + "; ".join(left)
