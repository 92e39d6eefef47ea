"""The log is read back as it was written, over logrotate's files; who is meant is found by whole words."""

import gzip

import pytest

from calico_rkt.plugin.containers.log_lines import About, kept, records

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


def test_rotated_files_come_first_the_oldest_before(tmp_path):
    path = tmp_path / "a.log"
    first, second, third, *rest = LINES.splitlines(keepends=True)
    (tmp_path / "a.log.10.gz").write_bytes(gzip.compress(first.encode()))
    (tmp_path / "a.log.2").write_text(second + third)
    (tmp_path / "a.log.other").write_text("2026-11-26 21:00:09,001 9 INFO no part of it\n")
    path.write_text("".join(rest))
    assert [r.when.second for r in kept(path)] == [0, 1, 2, 3, 4]
