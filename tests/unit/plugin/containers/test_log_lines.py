"""The log is read back as it was written, over logrotate's files; who is meant is found by whole words."""

import argparse
import gzip
import time
from contextlib import closing

import pytest

from calico_rkt.plugin.commands import logs
from calico_rkt.plugin.containers.log_lines import About, at_end, coming, kept, records

LINES = """\
2026-11-26 21:00:00,001 7 INFO ADD web c1 eth0: [{'address': '10.1.0.1/32'}]
2026-11-26 21:00:01,001 8 ERROR ADD web c10 eth0: 101 no free address: first
second line: of details
2026-11-26 21:00:02,001 9 INFO GC freed back abcdef0123456789 eth0
2026-11-26 21:00:03,001 9 WARNING the flows of fd61::1 are forgotten now
2026-11-26 21:00:04,001 9 INFO web/c1/eth0: its addresses may stay taken
"""


def fitting(*words, begins=()):
    about = About(frozenset(words), begins)
    return [r.when.second for r in records(LINES.splitlines()) if about.fits(r)]


def test_a_line_that_begins_no_record_belongs_to_the_one_before():
    found = list(records(LINES.splitlines()))
    assert len(found) == 5
    assert found[1].text.endswith("first\nsecond line: of details")
    assert (found[1].process, found[1].level, str(found[1].when)) == (8, "ERROR", "2026-11-26 21:00:01")


@pytest.mark.parametrize(
    ("words", "begins", "seconds"),
    [
        (("web",), (), [0, 1, 4]),
        (("c1",), (), [0, 4]),
        (("nobody",), ("abcd",), [2]),
        (("fd61::1",), (), [3]),
        (("we",), (), []),
    ],
)
def test_a_word_fits_whole_or_as_the_begin_of_an_id(words, begins, seconds):
    assert fitting(*words, begins=begins) == seconds


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("ADD web netns-c1 eth0: [...]", True),
        ("GC freed web netns-c1 eth0", True),
        ("DEL web netns-c1 eth0: was not attached", True),
        ("call command=ADD container='netns-c1' ifname='eth0' code=0", True),
        ("web/netns-c1/eth0: its addresses may stay taken", True),
        ("DEL netns-net c1 eth0", False),
        ("in /run/netns-x there is nothing, netns-y", False),
        ("/run/netns-c1/x can't be read", False),
    ],
)
def test_the_begin_of_an_id_is_looked_for_where_ids_are(text, fits):
    (record,) = records([line(text)])
    assert About(frozenset({"netns-"}), (), ("netns-",)).fits(record) is fits


def test_rotated_files_come_first_the_oldest_before(tmp_path):
    path = tmp_path / "a.log"
    first, second, third, *rest = LINES.splitlines(keepends=True)
    (tmp_path / "a.log.10.gz").write_bytes(gzip.compress(first.encode()))
    (tmp_path / "a.log.2").write_text(second + third)
    (tmp_path / "a.log.other").write_text("2026-11-26 21:00:09,001 9 INFO no part of it\n")
    path.write_text("".join(rest))
    assert [r.when.second for r in kept(path)] == [0, 1, 2, 3, 4]


def line(text):
    return f"2026-11-26 21:00:09,001 9 INFO {text}\n"


def test_nothing_that_was_written_around_a_rotation_is_missed(tmp_path):
    log = tmp_path / "log"
    log.write_text(line("before"))
    with closing(coming(log, at_end(log), time.sleep)) as found:
        with log.open("a") as old:
            old.write(line("first"))
            log.rename(tmp_path / "log.1")
            old.write(line("second"))
        log.write_text(line("third"))
        assert [next(found).text for _ in range(3)] == ["first", "second", "third"]
        log.write_text(line("4th"))  # as logrotate's copytruncate empties it
        assert next(found).text == "4th"


def test_a_log_that_comes_later_is_followed_from_its_begin(tmp_path):
    log = tmp_path / "log"
    with closing(coming(log, at_end(log), time.sleep)) as found:
        log.write_text(line("first"))
        assert next(found).text == "first"


def test_the_last_seconds_begin_with_a_whole_one_as_lines_do():
    parser = argparse.ArgumentParser()
    logs.add_arguments(parser)
    assert parser.parse_args(["--since", "1s"]).since.microsecond == 0


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:12] + b"\xff" * 40, lambda b: b[2:]])
def test_a_compressed_file_that_is_damaged_keeps_nothing_else_from_being_read(tmp_path, capfd, damage):
    log = tmp_path / "calico-rkt.log"
    log.write_text(LINES)
    (tmp_path / "calico-rkt.log.2.gz").write_bytes(damage(gzip.compress(LINES.encode())))
    assert len(list(kept(log))) >= 5
    assert "calico-rkt.log.2.gz can be read in part only" in capfd.readouterr().err
