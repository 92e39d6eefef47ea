"""Phases: what took how long, and nothing where nobody asks."""

from itertools import count

from calico_rkt.plugin.process import trace


def test_marks_without_anybody_who_collects_are_nothing():
    trace.mark("alone")


def test_phases_are_the_times_between_marks_in_their_order(monkeypatch):
    ticks = count()
    monkeypatch.setattr(trace, "perf_counter", lambda: float(next(ticks)))
    with trace.collecting() as phases:
        trace.mark("link")
        trace.mark("policy")
        trace.mark("link")
        assert phases() == (("link", 2.0), ("policy", 1.0))
    trace.mark("later")
    assert phases() == (("link", 2.0), ("policy", 1.0))


def test_the_table_ends_with_the_sum():
    said = trace.table((("link", 0.001), ("policy", 0.0005)))
    assert said.splitlines()[-1].split() == ["1.500", "ms", "in", "all"]
