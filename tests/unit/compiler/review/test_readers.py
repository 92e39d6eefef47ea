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


LIST = '{%s "name": "web", "plugins": [{"type": "calico", "ipam": {"type": "host-local", "ranges": [%s]}}]}'
RANGES = '[{"subnet": "10.7.0.0/24"}], [{"subnet": "10.8.0.0/24"}]'


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        ('"cniVersions": ["0.4.0", "1.0.0"],', []),
        ('"cniVersions": ["0.2.0", "1.2.0"],', ["CR211"]),
        ('"cniVersion": "0.2.0", "cniVersions": ["0.1.0", "0.3.1"],', []),
        ('"cniVersion": "0.3.1", "cniVersions": ["0.1.0"],', []),
        ('"cniVersion": "1.0.0", "cniVersions": ["1.1.0", "2.0.0"],', ["CR224"]),
        ('"cniVersions": ["1.1.0"],', ["CR224"]),
        ('"cniVersions": ["0.9.0"],', ["CR226"]),
        ('"cniVersions": [],', ["CR211"]),
        ('"cniVersions": "1.0.0",', ["CR203", "CR211"]),
        ('"cniVersions": ["one"],', ["CR206", "CR211"]),
        ('"cniVersions": ["1.0.0", "1.0.0.0"],', ["CR206"]),
        ('"cniVersions": ["1.0.0", "%s"],' % ("9" * 5000), ["CR206"]),
    ],
)
def test_of_the_versions_of_a_list_the_highest_counts_that_both_know(tmp_path, versions, told):
    """As libcni 1.2 takes it; older results hold one address a family, and this conf gives two."""
    (tmp_path / "web.conflist").write_text(LIST % (versions, RANGES))
    assert sorted(d.code for d in check_workspace(open_folder(tmp_path, {}))) == told


def test_in_the_conf_of_one_plugin_cni_versions_are_nobodys(tmp_path):
    (tmp_path / "web.conf").write_text(CONF % '"cniVersion": "1.0.0", "cniVersions": ["1.1.0"],')
    assert not check_workspace(open_folder(tmp_path, {}))


def test_who_reads_no_cni_versions_is_named_with_what_he_counts(tmp_path):
    (tmp_path / "web.conflist").write_text(LIST % ('"cniVersions": ["1.1.0"],', '[{"subnet": "10.7.0.0/24"}]'))
    (found,) = check_workspace(open_folder(tmp_path, {}))
    assert "take 1.1.0, which Debian 12's portmap refuses; others 0.1.0" in found.message
