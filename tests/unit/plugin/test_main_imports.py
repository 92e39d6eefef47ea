"""What the front door imports: start-up is most of a one-shot ADD, so nothing heavy may creep in."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "two-networks"

HEAVY = {"jinja2", "yaml", "netaddr", "etcd", "etcd3gw", "pyroute2", "asyncio"}

LISTED = """
    array atexit binascii bisect calico_rkt collections contextlib copyreg ctypes enum errno fcntl fnmatch functools gc
    ipaddress itertools json keyword linecache logging math ntpath operator pathlib re reprlib select selectors signal
    socket stat string struct textwrap threading token tokenize traceback types urllib warnings weakref
"""
"""Packages that an ADD may import, besides those whose names begin with an underscore."""
OF_PATHLIB = {"glob", "grp", "pwd"} if sys.version_info >= (3, 13) else set()
"""What the Python's own pathlib has come to import."""
OURS = (
    *("calico_rkt.compiler", "calico_rkt.plugin", "calico_rkt.templates", "calico_rkt.profiles"),
    *(f"calico_rkt.compiler.conf{m}" for m in ("", ".netconf", ".parse", ".ipam", ".section", ".shape")),
    *(f"calico_rkt.compiler.ir{m}" for m in ("", ".ids")),
    *(
        f"calico_rkt.compiler.{m}"
        for m in ("atomic", "diagnostics", "digest", "typed", "values", "text", "text.nodes", "text.json_nodes")
    ),
)
"""Modules of the compiler that an ADD may import; of the plugin all but the clients of other datastores."""


def imported(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", code + "\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize(
    "module", ["calico_rkt.plugin.main", "calico_rkt.plugin.cni.request", "calico_rkt.plugin.cni.result"]
)
def test_the_front_door_imports_nothing_heavy(module):
    assert not packages(imported(f"import {module}")) & HEAVY


def test_attaching_imports_nothing_that_is_not_listed():
    found = imported("import calico_rkt.plugin.main, calico_rkt.plugin.cni.request, calico_rkt.plugin.calls.dispatch")
    more = packages(found) - packages(imported(""))
    assert {name for name in more if not name.startswith("_")} <= {*LISTED.split(), *OF_PATHLIB}
    assert {m for m in found if m.startswith("calico_rkt.compiler.")} <= set(OURS)
    assert not {m for m in found if m.startswith("calico_rkt.plugin.store.etcd")}
    assert "calico_rkt.plugin.store.log.takeover" not in found, "only a host without a log has need of it"


@pytest.mark.parametrize("argv", [["--help"], ["compile", str(EXAMPLE / "web.conf")], ["check", "-C", str(EXAMPLE)]])
def test_a_command_that_needs_no_host_imports_nothing_of_what_works_on_one(argv):
    program = f"import sys; from calico_rkt.plugin.main import main; sys.argv[1:] = {argv!r}; main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    found = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert {m for m in found if m.startswith("calico_rkt.plugin.")} == {
        *(f"calico_rkt.plugin.{m}" for m in ("main", "errors", "commands", "commands.tree")),
    }
    assert not packages(found) & {"sqlite3", "ctypes", "socket", "logging", "zipfile"}
    assert argv != ["--help"] or not {m for m in found if m.startswith("calico_rkt.compiler.conf.parse")}
