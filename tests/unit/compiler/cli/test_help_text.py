"""What --help says: its examples are lines that work, and its exit statuses those that a command gives."""

import doctest
import io
import os
import subprocess
from types import SimpleNamespace

import pytest

from calico_rkt.compiler.cli import compile_profile, help_text
from calico_rkt.compiler.cli.commands import REVIEW
from calico_rkt.compiler.cli.help_text import calls, examples, exit_statuses
from calico_rkt.plugin.commands.tree import COMMANDS, main, parser_for

CONF = '{"cniVersion": "1.0.0", "name": "%s", "type": "calico", "ipam": {"type": "host-local", "subnet": "%s"}}\n'
FRONT = """\
network: web
ingress:
  - {action: Allow, protocol: TCP, source: {network: frontend}, destination: {ports: [443]}}
  - default
tests:
  - {name: front end, from: {network: frontend}, to: {network: web}, protocol: TCP, port: 443, verdict: Allow}
"""
TOUCHING_NOTHING = ("compile", *REVIEW)
ENDLESS = ("--watch",)
"""What an example goes on with until Ctrl-C; tests/unit/compiler/cli/test_watch.py has it."""
OF_CONTAINERS = ("web1",)
"""What an example of a review names that only a host with containers has; tests/clients/test_containers.py has it."""
GIVEN = {
    "check": {"check -C net.d": 0, "check -C idle": 1, "check -C nowhere": 2},
    "test": {"test -C net.d": 0, "test -C broken": 1, "test -C nowhere": 2},
    "diff": {"diff before before": 0, "diff before net.d": 1, "diff before nowhere": 2},
    "explain": {"explain web outside": 0, "explain web moon": 2},
    "matrix": {"matrix": 0, "matrix -C nowhere": 2},
    "report": {"report -o r.html": 0, "report -o r.html -C nowhere": 2},
    "rule": {"rule CR301": 0, "rule CR000": 2},
    "schema": {"schema": 0, "schema of": 2},
    "compile": {"compile net.conf": 0, "compile nowhere.conf": 2},
}
"""For each command that looks at files a line for each of its exit statuses; on a host: tests/clients."""


def epilog(name):
    return parser_for(name).epilog


def status_of(argv):
    program, *args = argv
    try:
        return compile_profile(args) if program == "compile-profile" else main(args)
    except SystemExit as e:
        return e.code


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of git with three networks, and folders of the same beside them, on a branch main."""
    for name in (".", "net.d", "before", "after", "idle", "broken"):
        (tmp_path / name / "profiles").mkdir(parents=True)
        for network, subnet in (("web", "10.1.0.0/24"), ("frontend", "10.2.0.0/24"), ("net", "10.3.0.0/24")):
            (tmp_path / name / f"{network}.conf").write_text(CONF % (network, subnet))
        (tmp_path / name / "profiles" / "web.yaml").write_text(FRONT)
    (tmp_path / "before" / "profiles" / "web.yaml").unlink()
    (tmp_path / "idle" / "profiles" / "nobody.yaml").write_text("network: nobody\n")
    (tmp_path / "broken" / "profiles" / "web.yaml").write_text(FRONT.replace("verdict: Allow", "verdict: Deny"))
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for command in ("init -q -b main", "add -A", "commit -q -m before"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True, env={**os.environ, **identity})
    for variable in ("ETCD_AUTHORITY", "ETCD_ENDPOINTS", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_end_of_a_help_text_is_read_as_it_is_written():
    assert doctest.testmod(help_text) == (0, 3)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_how_it_ends_and_shows_lines_that_its_own_parser_takes(name):
    said = exit_statuses(epilog(name))
    assert 0 in said
    assert {1, 2} & set(said)
    assert all(words and words == words.strip() and not words.endswith((",", ";")) for words in said.values()), said
    lines = examples(epilog(name))
    assert lines, "no examples"
    shown = [call for line in lines for call in calls(line)]
    assert any(call[0] == "compile-profile" or call[1] == name for call in shown)
    for call in shown:
        program, *args = [word for word in call if word != "..."]
        called = "compile" if program == "compile-profile" else args.pop(0)
        parser_for(called).parse_args(args)


def test_the_examples_of_calico_rkt_itself_are_lines_of_its_commands(capfd):
    assert main(["--help"]) == 0
    said = capfd.readouterr().out
    for line in examples(said):
        ((_, name, *args),) = calls(line)
        parser_for(name).parse_args(args)
    assert len(examples(said)) == 4
    assert set(exit_statuses(said)) == {0, 1, 2}


@pytest.mark.parametrize("name", TOUCHING_NOTHING)
def test_the_examples_of_a_command_that_touches_nothing_work(here, monkeypatch, capfd, name):
    for line in examples(epilog(name)):
        for call in calls(line):
            if {*ENDLESS, *OF_CONTAINERS} & set(call):
                continue
            monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO((here / "net.conf").read_bytes())))
            status = status_of(call)
            said = capfd.readouterr()
            assert status in exit_statuses(epilog(name)), (line, said)
            assert status != 2, (line, said)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", TOUCHING_NOTHING)
def test_each_exit_status_that_a_command_names_is_one_that_it_gives(capfd, name):
    given = {line: status_of(("calico-rkt", *line.split())) for line in GIVEN[name]}
    assert given == GIVEN[name], capfd.readouterr()
    assert set(GIVEN[name].values()) == set(exit_statuses(epilog(name)))
