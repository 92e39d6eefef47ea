"""The log of a host's records: it answers as a plain model does, whatever it is cut at, and damage is never a state."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.conf.netconf import Ipam, Range
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Endpoint, Key
from calico_rkt.plugin.store.local import LocalStore
from tests import older_state, state_log

NET = ip_network("10.1.0.0/29")
OF = Ipam("host-local", ((Range(NET, NET[1], NET[-2]),),))
NAMES = ("web", 'a "quoted" na\tme\n', "größe")
GUARD = ip_network("10.7.0.0/24")
keys = st.builds(Key, st.sampled_from(NAMES), st.sampled_from(("c1", "c2", "c3", "c4")), st.just("eth0"))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), keys, st.integers(0, 9)),
        st.tuples(st.just("remove"), keys, st.booleans()),
        st.tuples(st.just("finish"), keys, st.text(max_size=30)),
        st.tuples(st.just("discard"), keys, st.none()),
        st.tuples(st.just("guard"), keys, st.booleans()),
        st.tuples(st.just("forget"), keys, st.none()),
        st.tuples(st.sampled_from(("shrink", "reopen", "back")), keys, st.none()),
    ),
    max_size=40,
)


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        yield Path(made) / "run"


def opened(run_dir):
    return LocalStore(run_dir, run_dir.parent / "lib", verify=pytest.fail)


def answers(store):
    """All that can be asked, but for what an ADD would get next."""
    left = store.unheld.left()
    return (
        store.endpoints(),
        store.ranges(),
        store.usage(),
        store.used_ids(),
        store.unheld.guards(),
        store.unheld.networks(),
        set(left.addresses),
        set(left.ranges),
        left.held,
    )


class Model:
    """What is recorded, as plain values."""

    def __init__(self):
        self.known: dict[Key, Endpoint] = {}
        self.guards: dict[str, bool] = {}
        self.left = set()

    def holds(self):
        return {a for e in self.known.values() for a in e.addresses}


def step(store, model, what, key, value):
    """One step, done by both; they say the same."""
    mine = model.known.get(key)
    if what == "add":
        nonce = f"{key.container}-{value}"
        new = Endpoint(key, nonce, "/n", value, 7, "crk0", "02:00", (), ip_masq=value % 2 == 0, home=(4, value))
        try:
            added = store.add(new, OF, ())
        except CniError as e:
            full = len(model.holds()) == NET.num_addresses - 2
            assert e.code == (Code.ATTACHMENT_EXISTS if mine else Code.POOL_EXHAUSTED)  # noqa: PT017 - either is right
            assert mine or full
            return
        assert mine is None
        assert added.addresses[0] in NET
        assert not set(added.addresses) & model.holds()
        model.known[key] = added
    elif what == "remove":
        done = store.remove(key, mine.nonce if mine and value else "another")
        assert done is bool(mine and value)
        if done:
            model.left |= set(mine.addresses)
            del model.known[key]
    elif what == "finish":
        try:
            store.finish(key, mine.nonce if mine else "aa", value)
        except CniError:
            assert mine is None
        else:
            model.known[key] = Endpoint(**{f: getattr(mine, f) for f in mine.__slots__} | {"result": value})
    elif what == "discard":
        store.discard(key)
        if mine:
            model.left |= set(model.known.pop(key).addresses)
    elif what == "guard":
        store.unheld.record(key.network, "made", [GUARD] if value else [])
        model.guards[key.network] = value
    elif what == "forget":
        left = store.unheld.left()
        assert set(left.addresses) == model.left
        assert left.held == {a for a in model.holds() if a in model.left or any(a in n for n in left.ranges)}
        store.unheld.forgotten(left.addresses, left.ranges)
        model.left.clear()
    elif what == "shrink":
        with store._state._locked() as file:
            file.shrink()
    elif what == "back":
        store.to_older_builds()
    else:
        store.close()


@settings(max_examples=60, deadline=None)
@given(steps)
def test_it_answers_as_a_plain_model_does_in_every_process(script):
    with folder() as run_dir, closing(opened(run_dir)) as one, closing(opened(run_dir)) as other:
        model = Model()
        for number, (what, key, value) in enumerate(script):
            step((one, other)[number % 3 == 0], model, what, key, value)
            assert one.endpoint(key) == model.known.get(key)
            assert sorted(model.known.values(), key=lambda e: e.key) == list(other.endpoints())
        assert one.unheld.guards() == {GUARD for there in model.guards.values() if there}
        assert set(one.unheld.networks()) == set(model.guards)
        with closing(opened(run_dir)) as fresh:
            assert answers(one) == answers(other) == answers(fresh)
            if one.is_there():
                one.endpoints()
                assert len(state_log.entries((run_dir / "state.log").read_bytes())) >= len(model.known)
                assert one.to_older_builds()
                seen = older_state.seen(run_dir / "state.sqlite")
                assert {Key(*row[:3]) for row in seen["endpoints"]} == set(model.known)
                assert {ip_address(bytes.fromhex(row[0][2:])) for row in seen["addresses"]} == model.holds()
                assert answers(fresh) == answers(other)


def _written(run_dir, script):
    """A log made by these steps, and what was answered after each of its transactions, by its length then."""
    path, model, known = run_dir / "state.log", Model(), {}
    with closing(opened(run_dir)) as store:
        store.add(Endpoint(Key("web", "first", "eth0"), "aa", "/n", 1, 7, "crk0", "02:00", ()), OF, ())
        model.known = {e.key: e for e in store.endpoints()}
        known[path.stat().st_size] = answers(store)
        for what, key, value in script:
            if what not in ("shrink", "back", "forget"):
                step(store, model, what, key, value)
                known[path.stat().st_size] = answers(store)
    return path, known


@settings(max_examples=12, deadline=None)
@given(steps)
def test_cut_at_any_byte_it_is_as_after_the_last_whole_transaction(script):
    with folder() as run_dir:
        path, known = _written(run_dir, script[:12])
        data = path.read_bytes()
        with closing(opened(run_dir)) as store:
            for length in range(len(data) - 1, min(known) - 1, -1):
                with path.open("r+b") as file:
                    file.truncate(length)
                assert answers(store) == known[max(at for at in known if at <= length)], "who had it open"
        for length in (*known, *range(min(known), len(data), 97)):
            path.write_bytes(data[:length])
            with closing(opened(run_dir)) as store:
                was = known[max(at for at in known if at <= length)]
                assert answers(store) == was
                key = Key("web", "behind", "eth0")
                taken = {a for e in was[0] for a in e.addresses}
                if len(taken) < NET.num_addresses - 2:
                    added = store.add(Endpoint(key, "zz", "/n", 1, 7, "crk0", "02:00", ()), OF, ())
                    assert added.addresses[0] not in taken
                    assert set(store.endpoints()) == {*was[0], added}
                    state_log.entries(path.read_bytes())


@settings(max_examples=25, deadline=None)
@given(steps, st.data())
def test_a_byte_changed_anywhere_is_an_error_and_stays(script, data):
    with folder() as run_dir:
        path, known = _written(run_dir, script[:12])
        whole = path.read_bytes()
        assert len(whole) in known
        for _ in range(60):
            at = data.draw(st.integers(0, len(whole) - 1))
            byte = data.draw(st.integers(1, 255))
            path.write_bytes(whole[:at] + bytes([whole[at] ^ byte]) + whole[at + 1 :])
            with closing(opened(run_dir)) as store, pytest.raises(CniError) as caught:
                answers(store)
            assert (caught.value.code, str(path) in caught.value.msg) == (Code.IO, True)
            with closing(opened(run_dir)) as store, pytest.raises(CniError):
                store.remove(Key("web", "first", "eth0"), "another")
            assert len(path.read_bytes()) == len(whole), "who can't read it leaves it as it is"
