"""The lab and the callers that the tests of this folder share."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chroots.host import DebianHost
from tests.clients.support.agent import LOG, Agent
from tests.clients.support.before import build_before
from tests.clients.support.caller import Caller
from tests.clients.support.etcd import Etcd
from tests.clients.support.etcd2 import OldEtcd
from tests.clients.support.etcd_proxy import Proxy
from tests.clients.support.lab import Lab

BINARY = Path(os.environ.get("CALICO_BINARY", Path(__file__).parents[2] / "dist" / "calico"))
_numbers = itertools.count()


@pytest.fixture(scope="session")
def binary() -> Path:
    """The one file that users install; `make binary` builds it."""
    if os.geteuid() != 0:
        pytest.skip("namespaces and runtimes need root")
    if not BINARY.exists():
        pytest.fail(f"{BINARY} is missing: run `make binary` first")
    return BINARY


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of the release before."""
    return build_before(tmp_path_factory.mktemp("before"))


@pytest.fixture(params=["alone", "agent"])
def lab(binary: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A host where each call is a process of its own, and one where a warm agent does them."""
    made = Lab(binary, f"calico-rkt-lab-{os.getpid()}-{next(_numbers)}")
    try:
        agent = Agent(made).start() if request.param == "agent" else None
        yield made
        if agent is not None:
            assert agent.is_running(), made.path(LOG).read_text()
    finally:
        made.close()


@pytest.fixture
def bare_lab(binary: Path) -> Iterator[Lab]:
    """A host for what has nothing to do with an agent, or starts its own."""
    made = Lab(binary, f"calico-rkt-lab-{os.getpid()}-{next(_numbers)}")
    yield made
    made.close()


@pytest.fixture
def debian(binary: Path) -> Iterator[Callable[..., DebianHost]]:  # noqa: ARG001 - root, or skipped
    """Makes hosts of a Debian release, with its minbase and the packages that are named: debian("trixie", "podman")."""
    made: list[DebianHost] = []

    def make(release: str, *packages: str) -> DebianHost:
        name = f"calico-rkt-lab-{os.getpid()}-{next(_numbers)}"
        made.append(DebianHost(name, release, *packages))
        return made[-1]

    yield make
    for host in made:
        host.close()


@pytest.fixture
def cni(lab: Lab) -> Caller:
    return Caller(lab)


@pytest.fixture
def servers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Servers that a test started; ended with it."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for server in started:
        server.kill()
        server.wait()


@pytest.fixture
def etcd(lab: Lab) -> Etcd:
    """One member, and a cluster in it that is ready and knows this node."""
    made = Etcd(lab).start()
    made.bootstrap()
    return made


@pytest.fixture
def old(lab: Lab) -> OldEtcd:
    """One member, and a cluster of 2015 in it that is ready and knows this host."""
    made = OldEtcd(lab)
    made.start()
    made.ready()
    return made


@pytest.fixture
def proxy(lab: Lab) -> Proxy:
    """What stands between the plugin and an etcd that the test has, too."""
    return Proxy(lab)
