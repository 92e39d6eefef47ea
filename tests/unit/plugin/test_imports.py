"""What the front door imports: start-up is most of a one-shot ADD, so nothing heavy may creep in."""

import subprocess
import sys

import pytest

HEAVY = {"jinja2", "yaml", "netaddr", "etcd", "etcd3gw", "pyroute2", "asyncio"}


def imported(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", code + "\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("module", ["calico_rkt.plugin.main", "calico_rkt.plugin.request", "calico_rkt.plugin.result"])
def test_the_front_door_imports_nothing_heavy(module):
    assert not imported(f"import {module}") & HEAVY


def test_attaching_imports_no_compiler_s_libraries():
    assert not imported("import calico_rkt.plugin.verbs") & (HEAVY - {"pyroute2", "asyncio"})
