"""Claims about the journal of releases: each file is one, whatever it is called."""

from __future__ import annotations

import os
from ipaddress import ip_address

from calico_rkt.plugin.model import Key
from calico_rkt.plugin.store.journal import Journal, Release


def test_a_release_is_dropped_by_the_file_that_it_was_read_from(tmp_path):
    """One that was copied back, or named by another build, would be finished again and again."""
    journal = Journal(tmp_path / "journal")
    journal.write(Release(("http://a",), "node", Key("web", "c1", "eth0"), "aa", (ip_address("10.9.0.1"),)))
    (file,) = journal.folder.iterdir()
    file.rename(journal.folder / "copied.json")
    (found,) = journal.all()
    journal.write(found)
    assert [f.name for f in journal.folder.iterdir()] == ["copied.json"]
    journal.drop(found)
    assert not list(journal.folder.iterdir())


def test_releases_of_two_clusters_or_nodes_are_two(tmp_path):
    """Where this host has no record, nothing else tells one attachment's from the other's."""
    journal = Journal(tmp_path)
    noted = [Release((m,), n, Key("web", "c1", "eth0"), "", ()) for m, n in (("a", "x"), ("b", "x"), ("a", "y"))]
    for release in (*noted, *noted):
        journal.write(release)
    assert {(r.members, r.node) for r in journal.all()} == {(r.members, r.node) for r in noted}
    assert journal.length() == 3


def test_a_pipe_among_them_is_told_and_waited_for_by_nobody(tmp_path):
    journal = Journal(tmp_path)
    os.mkfifo(tmp_path / "a.json")
    assert list(journal.all()) == []
    assert journal.broken() == (
        f"{tmp_path}/a.json can't be read, so what it gives back stays taken: is no regular file",
    )
