"""When a call has to stop early, and who is served at all."""

import socket
from pathlib import Path

import pytest

from calico_rkt.plugin.agent import serve, wire
from calico_rkt.plugin.agent.metrics import Metrics
from calico_rkt.plugin.agent.serve import Conversation, Identity
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.process import signals


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def conversation(connection, **more):
    return Conversation(connection, Identity.own("build"), Metrics(), **more)


def reason(held):
    """Why it has to stop, in the words of the error; nothing when it goes on."""
    said = held._reason_to_stop()
    with signals.watched(lambda: said):
        if said:
            with pytest.raises(CniError) as caught:
                signals.stop_if_asked()
            assert (caught.value.code, caught.value.msg) == (11, said)
        else:
            signals.stop_if_asked()
    return said


def test_a_call_goes_on_while_its_launcher_waits(ends):
    assert reason(conversation(ends[0])) == ""


def test_a_call_stops_when_its_launcher_has_gone(ends):
    held = conversation(ends[0])
    ends[1].close()
    assert "has gone" in reason(held)


def test_a_call_stops_at_its_deadline(ends, monkeypatch):
    monkeypatch.setattr(serve, "DEADLINE", -1.0)
    assert "not done within" in reason(conversation(ends[0]))


def test_a_call_stops_when_the_agent_has_to_end(ends):
    assert reason(conversation(ends[0], stopping=lambda: "the agent ends")) == "the agent ends"


def test_nothing_is_watched_outside_of_a_call(ends):
    held = conversation(ends[0])
    ends[1].close()
    reason(held)
    signals.stop_if_asked()


def test_the_launcher_waits_longer_than_the_agent_works():
    source = Path(serve.__file__).parent.joinpath("launcher.h").read_text()
    (seconds,) = [int(line.split()[2]) for line in source.splitlines() if line.startswith("#define SECONDS_TO_ANSWER")]
    assert seconds > serve.DEADLINE + 10


def test_an_answer_is_confirmed_by_a_byte_and_by_nothing_else(ends):
    held = conversation(ends[0])
    ends[1].sendall(b"A")
    assert held._is_confirmed()
    ends[1].close()
    assert not held._is_confirmed()


def test_who_confirms_too_late_is_told(ends, monkeypatch):
    monkeypatch.setattr(serve, "_TO_CONFIRM", 0.001)
    wire.limit(ends[0])
    assert not conversation(ends[0])._is_confirmed()
    with pytest.raises(BrokenPipeError):
        ends[1].sendall(b"A")
