"""The launcher under sanitizers: all subsets of its descriptors closed, full or non-blocking, an agent that answers."""

from __future__ import annotations

import itertools

import pytest

from tests.properties.inputs import descriptors
from tests.properties.inputs.launcher import Start, enter, frame, place

ANSWERED = (frame("T"), frame("R", 0, b"{}\n", b"a warning\n"))


@pytest.fixture(scope="module", autouse=True)
def _here():
    with place():
        yield


@pytest.mark.parametrize("stdout", descriptors.KINDS[:4])
def test_a_call_is_answered_or_fails_whatever_its_descriptors_are(stdout):
    for stdin, stderr in itertools.product(descriptors.KINDS[:4], repeat=2):
        kinds = (stdin, stdout, stderr)
        status, out = enter(Start("VERSION", kinds=kinds))
        assert (status == 0) is (out is not None), kinds
        assert not out or b'"supportedVersions"' in out
        status, out = enter(Start("ADD", kinds=kinds, agent=ANSWERED))
        assert (status == 0) is (out is not None), kinds
        assert out in (None, b"{}\n")


def test_a_conf_that_comes_late_by_a_non_blocking_descriptor_is_waited_for(monkeypatch):
    monkeypatch.setattr(descriptors, "LATE", 0.5)
    assert enter(Start("ADD", kinds=("nonblocking", "pipe", "pipe"), agent=ANSWERED)) == (0, b"{}\n")


@pytest.mark.parametrize("status", [256, 512, 1 << 31, (1 << 32) - 1])
def test_a_status_that_no_process_has_is_no_answer(status):
    """Its last byte may be 0, or it may be what stands here for `no answer came`: then the call was answered twice."""
    ended, out = enter(Start("DEL", agent=(frame("T"), frame("R", status, b"{}\n"))))
    assert (ended != 0, out) == (True, b"")
