"""A conf that this plugin or the runtimes in use would refuse is told by check, and by nothing else."""

import pytest

from calico_rkt.compiler.cli.commands import review
from calico_rkt.compiler.review.check import check_workspace
from calico_rkt.compiler.workspace.folder import open_folder

CONF = '{%s "name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.7.0.0/24"}}'


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("", []),
        ('"cniVersion": "0.4.0",', []),
        ('"cniVersion": "1.0.0",', []),
        ('"cniVersion": "1.1.0",', ["CR224"]),
        ('"cniVersion": "1.2.0",', ["CR226"]),
        ('"cniVersion": "1.10.0",', ["CR226"]),
        ('"cniVersion": "2.0.0",', ["CR226"]),
        ('"cniVersion": "1.0",', ["CR226"]),
        ('"cniVersion": "v1.0.0",', ["CR226"]),
        ('"cniVersion": "one",', ["CR226"]),
        ('"cniVersion": "1.x.0",', ["CR226"]),
        ('"cniVersion": "",', []),
    ],
)
def test_a_version_that_is_not_spoken_or_newer_than_the_runtimes_of_debian_12(tmp_path, version, told):
    (tmp_path / "web.conf").write_text(CONF % version)
    found = check_workspace(open_folder(tmp_path, {}))
    assert [(d.code, d.path.rpartition("/")[2]) for d in found] == [(code, "web.conf") for code in told]


def test_check_ends_with_1_and_a_question_is_answered_all_the_same(tmp_path, capsys):
    (tmp_path / "web.conf").write_text(CONF % '"cniVersion": "1.1.0",')
    assert review("check", ["-C", str(tmp_path)]) == 1
    assert "web.conf: CR224 warning: cniVersion 1.1.0 is refused by podman 4" in capsys.readouterr().out
    assert review("matrix", ["-C", str(tmp_path)]) == 0
    assert "CR224" not in str(capsys.readouterr())


def test_a_version_that_is_not_spoken_is_an_error_of_check(tmp_path, capsys):
    (tmp_path / "web.conf").write_text(CONF % '"cniVersion": "1.2.0",')
    assert review("check", ["-C", str(tmp_path)]) == 2
    assert "web.conf: CR226 error: cniVersion '1.2.0' is none that this plugin speaks" in capsys.readouterr().out
