"""Claims about when the agent restores; the table itself is real in tests/clients/test_agent.py."""

from __future__ import annotations

import threading

from calico_rkt.plugin.agent import mend
from tests.patience import slowness

PATIENCE = 20


def test_a_table_that_goes_while_all_of_it_is_compared_is_built_anew_meanwhile(monkeypatch):
    """A comparison of a thousand networks takes seconds, and the host is closed for as long as nobody restores it."""
    comparing, go_on, built, gone = (threading.Event() for _ in range(4))

    def compared():
        comparing.set()
        return not go_on.wait(PATIENCE * slowness())

    def mended():
        was_gone = gone.is_set()
        gone.clear()
        return was_gone

    monkeypatch.setattr(mend.table, "close_first", lambda: None)
    monkeypatch.setattr(mend, "mend_table", mended)
    mender = mend.Mender(built.set, compared)
    looking = threading.Thread(target=mender._look_at_all)
    looking.start()
    assert comparing.wait(PATIENCE * slowness())
    gone.set()
    mender.heard()
    was_built = built.wait(PATIENCE * slowness() / 4)
    go_on.set()
    looking.join()
    assert was_built
    assert mender._wanted.is_set(), "what was heard is a reason to compare once more, when it is quiet"


def test_a_start_that_built_the_table_anew_compares_all_at_once(monkeypatch):
    """Links of before are mended by the comparison: after an update the host differed until it was quiet for 5 s."""
    compared = threading.Event()
    monkeypatch.setattr(mend, "_QUIET", 1000.0)
    monkeypatch.setattr(mend, "mend_table", lambda: True)
    mend.Mender(lambda: None, lambda: compared.set() or False).start()
    assert compared.wait(PATIENCE * slowness())
