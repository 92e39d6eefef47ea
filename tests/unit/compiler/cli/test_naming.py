"""A folder, a revision and overrides are named in one way by all commands; what was said before is warned of."""

import argparse

import pytest

from calico_rkt.plugin.commands.tree import COMMANDS, main, parser_for

CONF = '{"cniVersion": "1.0.0", "name": "%s", "type": "calico", "ipam": {"type": "host-local", "subnet": "%s"}}\n'
PARSERS = {name: parser_for(name) for name in COMMANDS}
TWO_MEANINGS = {"--from", "--to", "--port", "--for", "--since"}
"""Options that mean two things.

--from and --to: a datastore, and for install and uninstall where the plugin alone stands; --port: what attach
publishes, and what trace looks at; --for: whose network it is, and how long trace looks; --since: report's OLD, and
a time of logs.
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, subnet in (("net.d", "10.1.0.0/24"), ("other", "10.2.0.0/24")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "web.conf").write_text(CONF % ("web", subnet))
    return tmp_path


def shown(parser):
    return [a for a in parser._actions if a.help is not argparse.SUPPRESS]


def test_one_option_names_one_thing_on_every_command():
    said = {}
    for name, parser in PARSERS.items():
        for action in shown(parser):
            for option in action.option_strings:
                said.setdefault(option, {}).setdefault((action.metavar, tuple(action.option_strings)), []).append(name)
    assert {option for option, ways in said.items() if len(ways) > 1} == TWO_MEANINGS, said


def test_every_argument_says_what_it_is():
    assert [(name, a.dest) for name, parser in PARSERS.items() for a in shown(parser) if not a.help] == []


def test_a_folder_of_confs_is_named_by_one_option():
    about = {
        (name, *action.option_strings)
        for name, parser in PARSERS.items()
        for action in shown(parser)
        if "folder of confs" in (action.help or "") or (action.metavar == "DIR" and not action.option_strings)
    }
    assert {tuple(options) for _, *options in about} == {("-C", "--confs")}
    reading = {name for name, *_ in about}
    assert {"check", "test", "diff", "explain", "matrix", "report", "apply", "status", "ls", "gc", "attach"} <= reading


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("command", ["check", "test", "matrix", "report -o out.html"])
def test_a_folder_without_its_option_is_taken_in_this_version_with_a_warning(capfd, command):
    name, *more = command.split()
    well = main([name, "-C", "net.d", *more])
    said = capfd.readouterr()
    assert main([name, "net.d", *more]) == well
    again = capfd.readouterr()
    assert again.out == said.out
    assert said.err == ""
    words = "net.d without -C is for this version only; write"
    assert again.err == f"calico-rkt {name}: warning: {words} calico-rkt {name} -C net.d\n"


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize(
    "argv",
    [
        ["check", "-C", "net.d", "-C", "other"],
        ["check", "net.d", "-C", "other"],
        ["check", "--confs", "net.d", "other"],
        ["explain", "web", "web", "-C", "net.d", "-C", "other"],
        ["diff", "net.d", "-C", "net.d", "--confs", "other"],
    ],
)
def test_a_review_of_two_folders_is_refused_and_not_of_the_last_one(capfd, argv):
    with pytest.raises(SystemExit, match="2"):
        main(argv)
    assert capfd.readouterr().err.endswith("error: net.d and other: one folder is looked at, and two are named\n")


@pytest.mark.parametrize("command", ["apply", "status", "ls", "gc", "export", "attach web c1"])
def test_a_command_about_a_host_says_why_it_takes_no_revision(capfd, command):
    with pytest.raises(SystemExit, match="2"):
        main([*command.split(), "--revision", "main"])
    said = capfd.readouterr().err
    assert said.endswith(
        "error: --revision: a host's files are read as they are; "
        "git worktree add /tmp/main main checks it out, and -C names the folder there\n"
    )
