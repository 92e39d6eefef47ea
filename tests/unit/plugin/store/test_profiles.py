"""Claims about published profiles as files, with crashes between any two steps."""

from __future__ import annotations

import os
import threading

import pytest

from calico_rkt.compiler.diagnostics import CompileError, error
from calico_rkt.compiler.ir.model import Network
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.store.profiles import ProfileFolder


def verify(text):
    """A text is `NAME ID rest`, good unless it says edited: the folder does not care how profiles are written."""
    if "edited" in text:
        raise CompileError([error("CR999", "the digest does not fit")])
    name, network_id, *_ = text.split()
    return Network(name, network_id)


@pytest.fixture
def folder(tmp_path):
    return ProfileFolder(tmp_path / "lib" / "profiles", verify)


def profile(text):
    name, network_id, *_ = text.split()
    return Published(network_id, name, text, "")


def leftovers(folder):
    return sorted(p.name for p in folder.folder.iterdir() if not p.name.endswith(".yaml"))


def test_nothing_is_published_at_first(folder):
    assert folder.published("web") is None
    assert folder.text("web") is None
    assert folder.ids() == ()
    assert folder.pending() == ()
    assert not folder.unpublish("web")


def test_what_is_published_is_read_back_and_readable_by_people(folder):
    found = folder.publish(profile("Web web one"))
    assert (found.network, found.network_id, found.text) == ("Web", "web", "Web web one")
    assert found.digest.startswith("sha256:")
    assert (folder.folder / "web.yaml").read_text() == "Web web one"
    assert (folder.folder / "web.yaml").stat().st_mode & 0o777 == 0o644
    assert folder.ids() == ("web",)
    assert leftovers(folder) == []


def test_publishing_never_changes_what_is_in_force(folder):
    folder.publish(profile("Web web one"))
    assert folder.publish(profile("Web web two")).text == "Web web one"


def test_of_many_at_once_one_wins_and_all_see_it(folder):
    seen = []
    threads = [
        threading.Thread(target=lambda i=i: seen.append(folder.publish(profile(f"Web web {i}")).text)) for i in range(8)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert leftovers(folder) == []


def test_two_names_with_one_id_are_an_error_not_a_merge(folder):
    folder.publish(profile("Web web one"))
    with pytest.raises(CniError) as caught:
        folder.publish(profile("wEB web one"))
    assert caught.value.code == Code.PROFILE_UNUSABLE
    assert "'Web' and 'wEB'" in caught.value.msg


@pytest.mark.parametrize("text", ["Web web edited", "Db db one"])
def test_an_edited_or_misplaced_file_is_used_for_nothing(folder, text):
    folder.publish(profile("Web web one"))
    (folder.folder / "web.yaml").write_text(text)
    for act in (lambda: folder.published("web"), lambda: folder.publish(profile("Web web one"))):
        with pytest.raises(CniError) as caught:
            act()
        assert caught.value.code == Code.PROFILE_UNUSABLE
    assert folder.text("web") == text


def test_a_file_that_is_no_text_is_used_for_nothing(folder):
    folder.publish(profile("Web web one"))
    (folder.folder / "web.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(CniError) as caught:
        folder.published("web")
    assert caught.value.code == Code.PROFILE_UNUSABLE


@pytest.mark.parametrize(("make", "words"), [(os.mkfifo, "is no regular file"), (os.mkdir, "is a folder, not a file")])
def test_what_is_no_file_is_waited_for_by_nobody_and_used_for_nothing(folder, make, words):
    folder.publish(profile("Web web one"))
    place = folder.folder / "web.yaml"
    place.unlink()
    make(place)
    for act in (lambda: folder.published("web"), lambda: folder.publish(profile("Web web one"))):
        with pytest.raises(CniError, match=words) as caught:
            act()
        assert caught.value.code == Code.PROFILE_UNUSABLE
    if make is os.mkdir:
        with pytest.raises(CniError, match="can't be replaced"):
            folder.stage({"web": "Web web two"})
        assert folder.pending() == ()
    else:
        folder.stage({"web": "Web web two"})
        folder.commit()
        assert folder.text("web") == "Web web two"


def test_a_pipe_in_the_place_of_the_manifest_is_an_error(folder):
    folder.publish(profile("Web web one"))
    os.mkfifo(folder.folder / "apply.json")
    with pytest.raises(CniError, match=r"apply.json is no regular file"):
        folder.pending()


def test_an_id_never_leads_out_of_the_folder(folder):
    with pytest.raises(CniError):
        folder.published("../web")


def test_a_change_is_in_force_after_commit_and_not_before(folder):
    folder.publish(profile("Web web one"))
    folder.stage({"web": "Web web two", "db": "Db db one"})
    assert folder.pending() == ("db", "web")
    assert folder.published("web").text == "Web web one"
    folder.commit()
    assert folder.pending() == ()
    assert [folder.published(i).text for i in folder.ids()] == ["Db db one", "Web web two"]
    assert leftovers(folder) == []


def test_an_aborted_change_leaves_nothing(folder):
    folder.publish(profile("Web web one"))
    folder.stage({"web": "Web web two"})
    folder.abort()
    assert folder.pending() == ()
    assert folder.published("web").text == "Web web one"
    assert leftovers(folder) == []
    folder.commit()
    assert folder.published("web").text == "Web web one"


def test_a_commit_that_was_cut_short_is_completed_by_the_next(folder):
    folder.stage({"web": "Web web two", "db": "Db db one"})
    (folder.folder / "db.yaml.next").replace(folder.folder / "db.yaml")
    assert folder.pending() == ("db", "web")
    folder.commit()
    assert folder.ids() == ("db", "web")
    assert leftovers(folder) == []


def test_staging_that_was_cut_short_is_nothing_and_is_swept_away(folder):
    folder.publish(profile("Web web one"))
    (folder.folder / "web.yaml.next").write_text("Web web half")
    (folder.folder / ".web.yaml.0123456789abcdef").write_text("Web w")
    assert folder.pending() == ()
    assert folder.ids() == ("web",)
    folder.stage({"db": "Db db one"})
    folder.commit()
    assert folder.published("web").text == "Web web one"
    assert leftovers(folder) == []


def test_a_staged_file_that_was_changed_stops_the_whole_commit(folder):
    folder.stage({"db": "Db db one", "web": "Web web two"})
    (folder.folder / "web.yaml.next").write_text("Web web evil")
    with pytest.raises(CniError):
        folder.commit()
    assert folder.ids() == ()


def test_a_second_change_waits_for_the_first(folder):
    folder.stage({"web": "Web web two"})
    with pytest.raises(CniError):
        folder.stage({"web": "Web web three"})


def test_what_is_not_verified_is_never_staged(folder):
    with pytest.raises(CniError):
        folder.stage({"web": "Web web edited"})
    assert not folder.folder.exists()


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, '{"a": 1}'], ids=lambda text: text[:2])
def test_an_unreadable_manifest_is_an_error_that_names_it(folder, text):
    folder.publish(profile("Web web one"))
    (folder.folder / "apply.json").write_text(text)
    with pytest.raises(CniError) as caught:
        folder.pending()
    assert "apply.json" in caught.value.msg


def noting(path):
    """A folder of profiles, and the texts that it verifies."""
    read = []

    def noted(text):
        read.append(text)
        return verify(text)

    return ProfileFolder(path, noted), read


def test_who_keeps_what_was_verified_verifies_a_text_once_and_another_anew(tmp_path):
    folder, read = noting(tmp_path)
    folder.publish(profile("Web web one"))
    read.clear()
    folder.keep_verified()
    assert folder.network("web") is folder.network("web")
    assert folder.published("web").text == "Web web one"
    (tmp_path / "web.yaml").write_text("Web web edited")
    for _ in range(2):
        with pytest.raises(CniError):
            folder.published("web")
    assert read == ["Web web one", "Web web edited", "Web web edited"]


def test_who_keeps_one_network_s_profile_verifies_it_once_from_its_publishing_on_and_others_each_time(tmp_path):
    folder, read = noting(tmp_path)
    folder.publish(profile("Db db one"))
    read.clear()
    folder.keep_verified("web")
    published = folder.publish(profile("Web web one"))
    assert folder.meant(published) is folder.network("web")
    assert read == ["Web web one"]
    read.clear()
    for _ in range(2):
        folder.network("db")
    assert read == ["Db db one", "Db db one"]
