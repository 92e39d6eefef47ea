"""What is named as a side and is neither a folder nor a revision: the message says what it was taken for."""

from argparse import Namespace

import pytest

from calico_rkt.compiler.cli.places import named
from calico_rkt.compiler.diagnostics import CompileError


def said(text):
    with pytest.raises(CompileError) as e:
        named(text, Namespace(folder=None, profiles=None))
    (one,) = e.value.diagnostics
    return one.code, one.message, one.hint


@pytest.fixture(autouse=True)
def plain(tmp_path, monkeypatch):
    """A folder that is in no repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "web.conf").write_text("{}")


@pytest.mark.parametrize("text", ["web.conf", "./web.conf", "/dev/null"])
def test_a_file_is_said_to_be_one(text):
    code, message, hint = said(text)
    assert (code, message) == ("CR701", f"{text} is a file, no folder of confs")
    assert "REV:DIR" in hint


@pytest.mark.parametrize("text", ["nowhere", "/nowhere/at/all", "a\nb", "main"])
def test_what_is_no_folder_is_asked_of_git_and_where_no_repository_is_that_is_said(text):
    code, message, hint = said(text)
    assert (code, message) == ("CR713", "git: no git repository is here")
    assert hint == f"{text!r} is no folder, so it is taken for a revision"


def test_a_folder_in_a_revision_is_looked_for_from_here():
    code, _, hint = said("main:nowhere")
    assert (code, hint) == ("CR713", "'main:nowhere' is the folder nowhere, as it is here, in the revision 'main'")
