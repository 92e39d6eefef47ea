"""Who changes policy is told what became of it, also where the kernel does not answer after the change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.cases import Case
from tests.faults.commands import Apply, Prune
from tests.faults.effects import errors_of
from tests.faults.host import ALONE, WatchedHost
from tests.faults.verbs import Scenario

pytestmark = [pytest.mark.kernel, pytest.mark.clients]


@pytest.fixture
def host(binary: Path):
    made = WatchedHost(binary, "calico-rkt-lab-faults-told", ALONE)
    yield made
    made.close()


def kinds_of(act: Scenario) -> list[str]:
    """The effects of a run without a fault: the first one warms what stays warm."""
    for _ in range(2):
        act.prepare()
        reply, watch = act.run(None)
        act.judge(reply)
        act.tidy()
    return watch.kinds


def some(asked: list[int]) -> list[int]:
    """Six of them, from the first one on."""
    return asked[:: -(-len(asked) // 6)]


def test_an_apply_whose_policy_is_in_force_says_so_where_a_question_fails_after_it(host: WatchedHost):
    act = Apply(host)
    kinds = kinds_of(act)
    put = max(at for at, kind in enumerate(kinds) if kind.startswith("rename"))  # the published file is in place
    asked = [at for at, kind in enumerate(kinds) if at > put and kind.startswith("sendto nft")]
    assert asked, kinds[put:]
    for number, at in enumerate(some(asked)):
        assert act.try_one(Case(at, kinds[at], errors_of(kinds[at])[0]), number), "the fault came to be"


def test_a_prune_names_what_it_deleted_where_it_fails_after_that(host: WatchedHost):
    act = Prune(host)
    kinds = kinds_of(act)
    gone = max(at for at, kind in enumerate(kinds) if kind.startswith("unlink"))
    after = [
        at
        for at, kind in enumerate(kinds)
        if at > gone and errors_of(kind) and kind.startswith(("sendto", "pwrite", "open", "fdatasync", "flock"))
    ]
    assert after, kinds[gone:]
    for number, at in enumerate(some(after)):
        assert act.try_one(Case(at, kinds[at], errors_of(kinds[at])[0]), number), "the fault came to be"
