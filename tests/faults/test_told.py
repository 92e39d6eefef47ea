"""What became of a change is told, and no lock is kept, also where the kernel does not answer after the change."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from errno import EIO, ENOBUFS, ENOLCK, ENOSPC
from pathlib import Path

import pytest

from tests.faults.cases import Case
from tests.faults.commands import Apply, Import, Prune
from tests.faults.effects import LOST, SHORT, errors_of
from tests.faults.host import AGENT, ALONE, WatchedHost
from tests.faults.supervisor import KILL
from tests.faults.tries import recorded
from tests.faults.verbs import Add, Del
from tests.faults.worlds import DELEGATED, ETCD2, ETCD3, LOCAL, World

pytestmark = [pytest.mark.kernel, pytest.mark.clients]


def watched(binary: Path, mode: str = ALONE, world: World = LOCAL) -> AbstractContextManager[WatchedHost]:
    """A host that is gone at the end."""
    return closing(WatchedHost(binary, "calico-rkt-lab-faults-told", mode, world))


@pytest.fixture
def host(binary: Path):
    with watched(binary) as made:
        yield made


def some(asked: list[int]) -> list[int]:
    """Six of them, from the first one on."""
    return asked[:: -(-len(asked) // 6)]


def test_an_apply_whose_policy_is_in_force_says_so_where_a_question_fails_after_it(host: WatchedHost):
    act = Apply(host)
    kinds = recorded(act)
    put = max(at for at, kind in enumerate(kinds) if kind.startswith("rename"))  # the published file is in place
    asked = [at for at, kind in enumerate(kinds) if at > put and kind.startswith("sendto nft")]
    assert asked, kinds[put:]
    for number, at in enumerate(some(asked)):
        assert act.try_one(Case(at, kinds[at], errors_of(kinds[at])[0]), number), "the fault came to be"


@pytest.mark.parametrize("command", [Apply, Import])
def test_a_policy_that_is_in_force_is_told_of_also_where_stdout_can_t_be_written(
    host: WatchedHost, command: type[Apply]
):
    act = command(host)
    kinds = recorded(act)
    put = max(at for at, kind in enumerate(kinds) if kind.startswith("rename"))
    written = [at for at, kind in enumerate(kinds) if at > put and kind == "write pipe"]
    assert written, kinds[put:]
    for number, at in enumerate(written):
        assert act.try_one(Case(at, kinds[at], EIO), number), "the fault came to be"


def test_an_import_that_can_t_read_back_what_it_brought_in_says_that_it_is_in_force(binary: Path):
    with watched(binary, ALONE, ETCD3) as made:
        act = Import(made)
        kinds = recorded(act)
        read = max(at for at, kind in enumerate(kinds) if kind.startswith("sendto http POST"))
        assert act.try_one(Case(read, kinds[read], LOST), 0), "the fault came to be"


def test_an_apply_that_gets_half_of_an_answer_asks_anew_and_leaves_nothing_aside(host: WatchedHost):
    """The kernel begins no list of rules on a socket that has not read all of the one before."""
    act = Apply(host)
    kinds = recorded(act)
    lists = [at + 1 for at, kind in enumerate(kinds) if kind == "sendto nft 7"]
    assert {kinds[at] for at in lists} == {"recvfrom netlink"}
    for number, at in enumerate(lists):
        assert act.try_one(Case(at, kinds[at], ENOBUFS), number), "the fault came to be"


def test_an_agent_keeps_no_lock_that_it_could_not_give_back(binary: Path):
    """The kernel may have no memory for that: whoever comes next would wait in vain, for ever."""
    with watched(binary, AGENT) as made:
        act = Del(made)
        kinds = recorded(act)
        at = max(at for at, kind in enumerate(kinds) if kind.startswith("flock ") and kind.endswith("/state.log"))
        assert act.try_one(Case(at, kinds[at], ENOLCK), 0), "the fault came to be"
        made.attach("another")
        made.detach("another")


def test_an_add_that_can_t_note_what_it_asks_another_plugin_for_leaves_no_note(binary: Path):
    with watched(binary, ALONE, DELEGATED) as made:
        act = Add(made)
        kinds = recorded(act)
        noted = next(at for at, kind in enumerate(kinds) if kind.startswith("fsync ") and kind.endswith("/lent"))
        assert act.try_one(Case(noted, kinds[noted], ENOSPC), 0), "the fault came to be"


def test_an_add_whose_record_can_t_be_written_gives_back_what_the_cluster_gave(binary: Path):
    with watched(binary, ALONE, ETCD2) as made:
        act = Add(made)
        kinds = recorded(act)
        written = [at for at, kind in enumerate(kinds) if kind.startswith("write ") and kind.endswith("/state.log")]
        assert len(written) > 2, "both families' addresses are recorded"
        for number, at in enumerate(written):
            assert act.try_one(Case(at, kinds[at], SHORT), number), "the fault came to be"
            assert act.try_one(Case(at, kinds[at], KILL), 1), "a DEL knows what there is to give back"


def test_a_prune_names_what_it_deleted_where_it_fails_after_that(host: WatchedHost):
    act = Prune(host)
    kinds = recorded(act)
    gone = max(at for at, kind in enumerate(kinds) if kind.startswith("unlink"))
    after = [
        at
        for at, kind in enumerate(kinds)
        if at > gone and errors_of(kind) and kind.startswith(("sendto", "pwrite", "open", "fdatasync", "flock"))
    ]
    assert after, kinds[gone:]
    folder = next(at for at in range(gone, len(kinds)) if kinds[at].startswith("fsync "))
    for number, at in enumerate([folder, *some(after)]):
        assert act.try_one(Case(at, kinds[at], errors_of(kinds[at])[0]), number), "the fault came to be"
