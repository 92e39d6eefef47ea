"""What people call a network namespace: which forms there are, and that an id follows from the form alone."""

from __future__ import annotations

import pytest

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.runtime import namespaces
from calico_rkt.plugin.runtime.namespaces import Namespace, namespace


@pytest.fixture(autouse=True)
def named(tmp_path, monkeypatch):
    """A folder in place of /run/netns."""
    folder = tmp_path / "run" / "netns"
    folder.mkdir(parents=True)
    monkeypatch.setattr(namespaces, "NAMED", folder)
    return folder


def test_a_word_is_a_name_and_a_word_of_digits_a_pid(named):
    assert namespace("c1") == Namespace(f"{named}/c1", "netns-c1")
    assert namespace("4711") == Namespace("/proc/4711/ns/net", "pid-4711")
    assert namespace("0042") == namespace("42")


def test_a_path_is_the_same_however_it_is_written_and_whether_or_not_anything_is_there(named, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(named)
    before = [namespace(text) for text in ("c1", f"{named}/c1", f"{tmp_path}/link/c1", f"{named}/../netns//c1")]
    (named / "c1").touch()
    monkeypatch.chdir(named)
    assert {*before, namespace("./c1"), namespace("c1")} == {Namespace(f"{named}/c1", "netns-c1")}
    assert namespace("/proc/4711/ns/net").id == "pid-4711"
    assert namespace("/proc/4711/ns/net/../net").id == "pid-4711"


def test_a_name_that_is_a_link_to_a_process_stays_that_name(named):
    (named / "c1").symlink_to("/proc/1/ns/net")
    assert namespace("c1") == Namespace(f"{named}/c1", "netns-c1")


def test_no_two_paths_have_one_id(tmp_path):
    texts = [
        "c1",
        "pid-1",
        "1",
        "/a/b",
        "/a-b",
        "/a/b/",
        "/a/B",
        f"{tmp_path}/c1",
        "ä",
        "a b",
        "path-a-b",
        "/proc/1/net",
    ]
    found = [namespace(text) for text in texts]
    assert len({f.id for f in found}) == len({f.path for f in found}) == len(texts) - 1, "`/a/b/` is `/a/b`"


def test_digits_that_are_a_name_too_are_refused_with_both_ways_to_write_it(named):
    (named / "17").touch()
    with pytest.raises(CniError) as caught:
        namespace("17")
    assert caught.value.code == Code.INVALID_ENVIRONMENT
    assert caught.value.details == f"write {named}/17, or /proc/17/ns/net"
    assert namespace(f"{named}/17").id == "netns-17"


@pytest.mark.parametrize("text", ["", ".", "..", "/", "a\0b", "a\nb"])
def test_what_is_no_namespace_by_its_words_is_refused(text):
    with pytest.raises(CniError) as caught:
        namespace(text)
    assert caught.value.code == Code.INVALID_ENVIRONMENT
