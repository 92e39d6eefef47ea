"""Every command refuses an empty word, an option with two values, and says so without a terminal's own signs."""

import pytest

from calico_rkt.plugin.commands.tree import COMMANDS, main, parser_for

PARSERS = {command: parser_for(command) for command in COMMANDS}
VALUED = {
    command: [o for action in parser._actions if action.nargs != 0 for o in action.option_strings]
    for command, parser in PARSERS.items()
}
ONE = {
    command: [a.option_strings[-1] for a in parser._actions if a.option_strings and type(a).__name__ == "_Once"]
    for command, parser in PARSERS.items()
}
DAYS = ("2027-03-01", "2027-03-02")
WORDS = {"--count": ("1", "2"), "--lines": ("1", "2"), "--for": ("3", "4"), "--today": DAYS, "--until": DAYS}
"""Two values of an option that takes no odd text."""
FIRST = {"attach": ["web", "c1"], "report": ["-o", "x"]}
"""What has to be there before an option is looked at."""
LATER = {("attach", "--ip"), ("attach", "--port"), ("report", "-o"), ("report", "--output")}
"""Judged by the command itself, or what FIRST has."""
OF_FEW = {"--format", "--target", "--fail-on"}


def refused(parser, words, capsys):
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(words)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_commands_have_options_with_values():
    assert sum(map(len, VALUED.values())) > 80
    assert sum(map(len, ONE.values())) > 40


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_without_its_value_is_refused_by_name(capsys, command):
    """A variable that a script did not set: `install --yes --root "$IMAGE"` installed on the host itself."""
    for option in VALUED[command]:
        for words in ([option, ""], [f"{option}="]) if option.startswith("--") else ([option, ""],):
            if (command, option) in LATER:
                continue
            said = refused(PARSERS[command], [*FIRST.get(command, ()), *words], capsys)
            assert option in said.rpartition("error: ")[2], said


@pytest.mark.parametrize("command", COMMANDS)
def test_of_two_values_none_is_taken(capsys, command):
    """The last one counted, and whoever wrote `--profiles ours --profiles theirs` was not told."""
    for option in ONE[command]:
        if option in OF_FEW or (option == "--for" and command in ("init", "network")):
            continue
        one, two = ("2h", "3h") if (command, option) == ("logs", "--since") else WORDS.get(option, ("one", "two"))
        said = refused(PARSERS[command], [option, one, option, two], capsys)
        assert f"{option} is given twice" in said, said


def test_the_same_value_twice_is_one():
    assert PARSERS["matrix"].parse_args(["-o", "x", "--output", "x"]).output == "x"


def test_an_escape_sequence_reaches_no_terminal(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable in ("CALICO_RKT_LOG", "CALICO_RKT_RUN_DIR", "CALICO_RKT_LIB_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    for words in (
        ["status", "\x1b[31mred"],
        ["apply", "-C", "\x1b[31mred", "--dry-run"],
        ["check", "\x1b[31mred"],
        ["schema", "-o", "\x1b[31mred/x"],
    ):
        try:
            status = main(words)
        except SystemExit as e:
            status = e.code
        said = capsys.readouterr()
        assert status == 2, words
        assert "\\x1b[31mred" in said.err + said.out, words
        assert "\x1b" not in said.err + said.out, words
