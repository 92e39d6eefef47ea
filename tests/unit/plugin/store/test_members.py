import ssl
import time

import pytest

from calico_rkt.plugin.errors import Code
from calico_rkt.plugin.store.access import Access, UnreachableError
from calico_rkt.plugin.store.members import Members, NotNowError, UnusableError, tls_refusal

A, B, C = "http://a:1", "http://b:1", "http://c:1"


class Asked:
    """A cluster of which only those in `up` answer; who was asked, and for how many seconds."""

    def __init__(self, *up, refused=True):
        self.up, self.refused = up, refused
        self.members, self.seconds = [], []

    def __call__(self, member, seconds):
        self.members.append(member)
        self.seconds.append(seconds)
        if member not in self.up:
            raise NotNowError("Connection refused", refused=self.refused)
        return f"said by {member}"


@pytest.fixture
def members():
    return Members(Access((A, B, C)))


def test_the_one_that_answered_last_is_asked_first(members):
    ask = Asked(C)
    assert [members.first_answer(ask) for _ in range(2)] == [f"said by {C}"] * 2
    assert ask.members == [A, B, C, C]


def test_one_that_fails_is_asked_last(members):
    members.first_answer(Asked(A))
    members.first_answer(Asked(B))
    ask = Asked(C)
    members.first_answer(ask)
    assert ask.members == [B, C]


def test_nobody_is_given_more_time_than_is_left(members):
    members.begin(0.4)
    ask = Asked(A)
    members.first_answer(ask)
    assert ask.seconds[0] <= 0.4


def test_what_each_of_them_said_is_told_when_none_answers(members):
    members.begin(0.1)
    with pytest.raises(UnreachableError) as caught:
        members.first_answer(Asked())
    assert caught.value.code == Code.TRY_AGAIN
    assert caught.value.details.splitlines() == [f"{m}: Connection refused" for m in (A, B, C)]


def test_an_undo_after_all_were_lost_asks_each_once_and_waits_no_more(members):
    with pytest.raises(UnreachableError):
        members.first_answer(Asked())
    again, begun = Asked(), time.monotonic()
    with pytest.raises(UnreachableError):
        members.first_answer(again)
    assert sorted(again.members) == [A, B, C]
    assert time.monotonic() - begun < 1
    members.begin()
    assert members.first_answer(Asked(B)) == f"said by {B}"


def test_a_command_s_requests_have_their_own_time_each_until_one_is_lost(members):
    members.begin(0.05)
    members.be_patient()
    time.sleep(0.1)
    assert members.first_answer(Asked(A)) == f"said by {A}"
    with pytest.raises(UnreachableError):
        members.first_answer(Asked())
    again, begun = Asked(), time.monotonic()
    with pytest.raises(UnreachableError):
        members.first_answer(again)
    assert time.monotonic() - begun < 1
    assert sorted(again.members) == [A, B, C]


def test_what_is_no_matter_of_who_is_asked_is_raised_at_once(members):
    def ask(_member, _seconds):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        members.first_answer(ask)


def test_one_that_is_of_no_use_keeps_nobody_from_the_others(members):
    asked = []

    def ask(member, _seconds):
        asked.append(member)
        if member == A:
            raise UnusableError(Code.DATASTORE, "its certificate is not trusted")
        return f"said by {member}"

    assert [members.first_answer(ask) for _ in range(2)] == [f"said by {B}"] * 2
    assert asked == [A, B, B]


def test_where_all_are_of_no_use_it_is_said_at_once(members):
    asked = []

    def ask(member, _seconds):
        asked.append(member)
        raise UnusableError(Code.DATASTORE, f"the certificate of {member} is not trusted", "expired")

    with pytest.raises(UnusableError) as caught:
        members.first_answer(ask)
    assert caught.value.msg == f"the certificate of {A} is not trusted"
    assert asked == [A, B, C]


def test_one_that_is_of_no_use_beside_others_that_are_down_is_told_of(members):
    def ask(member, _seconds):
        if member == B:
            raise UnusableError(Code.DATASTORE, f"the certificate of {member} is not trusted", "expired")
        raise NotNowError("Connection refused", refused=True)

    members.begin(0.1)
    with pytest.raises(UnreachableError) as caught:
        members.first_answer(ask)
    refused = "Connection refused"
    said = [f"{A}: {refused}", f"{B}: the certificate of {B} is not trusted: expired", f"{C}: {refused}"]
    assert caught.value.details.splitlines() == said


def test_a_disagreement_about_tls_is_told_from_an_end_of_the_connection():
    assert "is not trusted" in tls_refusal(A, ssl.SSLCertVerificationError("self-signed")).msg
    assert "no way to talk by TLS" in tls_refusal(A, ssl.SSLError("wrong version number")).msg
    assert "no way to talk by TLS" in tls_refusal(A, OSError(ssl.SSLError("wrong version number"))).msg
    assert tls_refusal(A, ssl.SSLEOFError("EOF occurred in violation of protocol")) is None
    assert tls_refusal(A, ConnectionResetError("reset")) is None
