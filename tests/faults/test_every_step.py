"""Each effect of each act, ended before and after it and failing as it can: what was promised of the act holds.

The quick run tries a choice of them; all of them are tried by `make test-slow` and `make prove`.
"""

from __future__ import annotations

from errno import ENOBUFS
from pathlib import Path

import pytest

from tests.clients.support.lab import PLUGINS, until
from tests.faults.cases import Case
from tests.faults.commands import Apply, FirstAdd, GcCommand, Import, Prune, Restore
from tests.faults.effects import CHILD, OF_A_CHILD
from tests.faults.host import AGENT, ALONE, LAUNCHER, WatchedHost
from tests.faults.records import Downgrade, TakeOver
from tests.faults.supervisor import Plan
from tests.faults.tries import tried
from tests.faults.verbs import Add, Check, Del, Gc, Scenario
from tests.faults.worlds import DELEGATED, ETCD2, ETCD3, LOCAL, World

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

COMMANDS = (Apply, Prune, Restore, Import)
ACTS = [
    *((act, mode, LOCAL) for act in (Add, Del) for mode in (ALONE, AGENT, LAUNCHER)),
    *((act, ALONE, LOCAL) for act in (FirstAdd, Check, Gc, GcCommand, TakeOver, Downgrade, *COMMANDS)),
    *((act, mode, ETCD3) for act in (Add, Del) for mode in (ALONE, AGENT)),
    *((act, ALONE, ETCD3) for act in (FirstAdd, Check, Gc, GcCommand, *COMMANDS)),
    *((act, ALONE, ETCD2) for act in (Add, Del, FirstAdd, Check, Gc, GcCommand, Apply, Prune, Import)),
    *((act, ALONE, DELEGATED) for act in (Add, Del, Check, GcCommand)),
]
"""What is met by faults, by whom it is done, and where addresses and policy are kept."""
Act = tuple[type[Scenario], str, World]
QUICK: dict[Act, int] = {
    (Add, AGENT, LOCAL): 6,
    (Del, AGENT, LOCAL): 4,
    (Add, ALONE, LOCAL): 3,
    (Restore, ALONE, LOCAL): 2,
    (TakeOver, ALONE, LOCAL): 6,
    (Downgrade, ALONE, LOCAL): 4,
    (Add, ALONE, ETCD3): 4,
    (Del, ALONE, ETCD3): 3,
    (Apply, ALONE, ETCD3): 2,
    (Add, ALONE, ETCD2): 2,
    (Add, ALONE, DELEGATED): 4,
}
"""How many faults of an act the quick run tries."""


def named(one: Act) -> str:
    act, mode, world = one
    return f"{act.name}-{world.name}-{mode}"


@pytest.mark.parametrize("one", QUICK, ids=named)
def test_a_fault_at_some_steps_breaks_no_promise(binary: Path, one: Act):
    act, mode, world = one
    found = tried(binary, mode, act, world, most=QUICK[one], turn=3)
    assert not found.broken, "\n".join(found.broken)
    assert found.faults >= QUICK[one] - 2, "they came to be"


@pytest.mark.slow
@pytest.mark.parametrize("one", ACTS, ids=named)
def test_a_fault_at_each_kind_of_step_breaks_no_promise(binary: Path, one: Act):
    act, mode, world = one
    found = tried(binary, mode, act, world, most=8, turn=1)
    assert not found.broken, "\n".join(found.broken)
    assert found.faults >= min(found.effects, 8) * 2 // 3, "they came to be"


def test_an_add_that_believed_what_is_over_leaves_nothing_where_the_disk_fails(binary: Path):
    """It records its endpoint, is told by etcd that it has to look again, and records what it finds then."""
    found = tried(binary, AGENT, Add, ETCD3, only="write /run/calico-rkt/etcd/state.log", turn=3)
    assert not found.broken, "\n".join(found.broken)
    assert found.faults >= 3, "they came to be"


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


def test_where_libnftables_ends_itself_one_answer_comes_and_nothing_is_left(host: WatchedHost):
    """1.0.6 aborts where a question of its own to the kernel fails."""
    act = FirstAdd(host)
    act.prepare()
    reply, watch = act.run(None)
    act.judge(reply)
    act.tidy()
    asked = [(at, kind) for at, kind in enumerate(watch.kinds) if kind.startswith(OF_A_CHILD + "recvmsg netlink")]
    assert len(asked) > 5, "the library asks"
    for number, ((at, kind), act_of) in enumerate(zip(asked[:: len(asked) // 4], (ENOBUFS, CHILD) * 4, strict=False)):
        assert act.try_one(Case(at, kind, act_of), number), "the fault came to be"
