"""A program of somebody else's, run as CNI says: whatever it does, the call that runs it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from calico_rkt.plugin.cni.program import run
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process import signals

WHO, DEL = "ipam plugin 'slow'", {"CNI_COMMAND": "DEL", "PATH": "/usr/bin:/bin"}


def test_all_of_a_conf_comes_to_a_program_that_reads_late_and_all_that_it_says_comes_back() -> None:
    conf = bytes(range(256)) * 4096
    assert run(WHO, ["/bin/sh", "-c", "sleep 0.7; cat"], DEL, conf) == conf


def test_one_that_takes_longer_than_it_may_is_ended() -> None:
    with pytest.raises(CniError, match=r"^ipam plugin 'slow' did not end its DEL within 1 s$") as failed:
        run(WHO, ["/bin/sleep", "100"], DEL, b"{}", most=1)
    assert failed.value.code == Code.TRY_AGAIN


def test_one_is_waited_for_no_more_when_the_call_is_asked_to_end() -> None:
    with (
        signals.watched(lambda: "the agent ends"),
        pytest.raises(CniError, match="the agent ends, while it waited for"),
    ):
        run(WHO, ["/bin/sleep", "100"], DEL, b"{}")


def test_one_that_takes_something_back_then_has_some_seconds(monkeypatch) -> None:
    monkeypatch.setattr("calico_rkt.plugin.cni.program._IN_HASTE", 1)
    with signals.watched(lambda: "the agent ends"), signals.undoing():
        assert run(WHO, ["/bin/sh", "-c", "sleep 0.4; echo back"], DEL, b"{}") == b"back\n"
        with pytest.raises(CniError, match="did not end its DEL within 1 s"):
            run(WHO, ["/bin/sleep", "100"], DEL, b"{}")


def test_one_that_does_not_heed_a_signal_is_killed(monkeypatch) -> None:
    monkeypatch.setattr("calico_rkt.plugin.cni.program._IN_HASTE", 0.5)
    deaf = ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]
    with pytest.raises(CniError, match="did not end"):
        run(WHO, deaf, DEL, b"{}", most=0.5)


def test_one_of_ours_has_the_time_to_take_back_what_it_has_begun(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("calico_rkt.plugin.cni.program._IN_HASTE", 0.2)
    taken_back = tmp_path / "taken back"
    slow = ["/bin/sh", "-c", f"trap 'sleep 1; touch \"{taken_back}\"; exit 1' TERM; while :; do sleep 0.1; done"]
    for to_end, ended in ((0, False), (60, True)):
        with (
            signals.watched(lambda: "asked to end"),
            pytest.raises(CniError, match="asked to end, while it waited for"),
        ):
            run(WHO, slow, DEL, b"{}", to_end=to_end)
        assert taken_back.exists() is ended


WRAPPERS = {
    "one that waits for its child": "sh -c 'echo $$ >{0}; exec sleep 100'",
    "one whose child heeds no signal": "sh -c 'trap \"\" TERM; echo $$ >{0}; while :; do sleep 0.1; done'",
    "one that is gone": "sh -c 'echo $$ >{0}; exec sleep 100' & exit 0",
}


@pytest.mark.parametrize("wrapper", WRAPPERS.values(), ids=WRAPPERS)
def test_what_a_wrapper_has_started_ends_with_it(wrapper, monkeypatch, tmp_path) -> None:
    """Its child would go on, and take an address after our DEL."""
    monkeypatch.setattr("calico_rkt.plugin.cni.program._IN_HASTE", 1)
    started = tmp_path / "started"
    with pytest.raises(CniError, match="did not end"):
        run(WHO, ["/bin/sh", "-c", f"{wrapper.format(started)}; exit 1"], DEL, b"{}", most=1)
    pid = int(started.read_text())
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_what_our_own_plugin_has_started_is_its_own_to_end(tmp_path) -> None:
    """It takes back what it has begun, and needs its children for that."""
    done = tmp_path / "done"
    ours = f"trap 'sh -c \"echo done >{done}\"; exit 1' TERM; while :; do sleep 0.1; done"
    with pytest.raises(CniError, match="did not end"):
        run(WHO, ["/bin/sh", "-c", ours], DEL, b"{}", most=1, to_end=30)
    assert done.exists()
