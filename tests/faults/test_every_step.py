"""Each effect of each act, ended before and after it and failing as it can: what was promised of the act holds.

The quick run tries a choice of them; all of them are tried by `make test-slow` and `make prove`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.support.lab import PLUGINS, until
from tests.faults.commands import Apply, FirstAdd, GcCommand, Import, Prune, Restore
from tests.faults.host import AGENT, ALONE, LAUNCHER, WatchedHost
from tests.faults.supervisor import Plan
from tests.faults.tries import tried
from tests.faults.verbs import Add, Check, Del, Gc, Scenario

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

ACTS = [
    *((act, mode) for act in (Add, Del) for mode in (ALONE, AGENT, LAUNCHER)),
    *((act, ALONE) for act in (FirstAdd, Check, Gc, GcCommand, Apply, Prune, Restore, Import)),
]
_IDS = [f"{act.name}-{mode}" for act, mode in ACTS]
QUICK = {(Add, AGENT): 8, (Del, AGENT): 5, (Add, ALONE): 4, (Restore, ALONE): 3}
"""How many faults of an act the quick run tries."""


@pytest.mark.parametrize(("act", "mode"), QUICK, ids=[f"{act.name}-{mode}" for act, mode in QUICK])
def test_a_fault_at_some_steps_breaks_no_promise(binary: Path, act: type[Scenario], mode: str):
    found = tried(binary, mode, act, most=QUICK[act, mode], turn=3)
    assert not found.broken, "\n".join(found.broken)
    assert found.faults >= QUICK[act, mode] - 2, "they came to be"


@pytest.mark.slow
@pytest.mark.parametrize(("act", "mode"), ACTS, ids=_IDS)
def test_a_fault_at_each_kind_of_step_breaks_no_promise(binary: Path, act: type[Scenario], mode: str):
    found = tried(binary, mode, act, most=8, turn=1)
    assert not found.broken, "\n".join(found.broken)
    assert found.faults >= min(found.effects, 8) * 2 // 3, "they came to be"


@pytest.fixture
def host(binary: Path):
    made = WatchedHost(binary, "calico-rkt-lab-faults-own")
    yield made
    made.close()


def test_the_harness_sees_each_effect_once_and_where_it_is_made_to_fail(host: WatchedHost):
    """What it counts is counted, what it ends is ended, what gets through is seen: else it would prove nothing."""
    host.netns("c1")
    reply, all_of_them = host.call("ADD", "c1")
    assert reply.status == 0, reply
    kinds = all_of_them.kinds
    assert {"setns", "exit_group", "sendto nft 12", "write pipe", "sendto route NEWLINK GETLINK"} <= set(kinds)
    assert kinds[-1] == "exit_group"
    host.call("DEL", "c1")
    at = kinds.index("sendto nft 12")
    ended, watch = host.call("ADD", "c1", Plan(at))
    assert (ended.status, watch.done, len(watch.kinds)) == (-9, "sendto nft 12", at + 1)
    assert "out-web" in "".join(host.look()["rules"])
    assert host.lab.run("ip", "link", "show", "type", "veth").stdout.count(b"crk") == 2, "the pair is there"
    host.detach("c1")
    host.lab.override("web", "network: web\nendpoint_to_host: accept\n")
    host.lab.out(f"{PLUGINS}/calico", "apply", "--yes")
    host.attach("c2")
    until(lambda: all(host.passed()[name] for name in ("out", "host")), "an open policy lets packets through")
