"""A command line of ours that a page shows is one that can be typed: command and options exist, and it is whole."""

import re
from pathlib import Path

import pytest

from calico_rkt.compiler.cli.help_text import calls
from calico_rkt.plugin.commands.tree import COMMANDS, parser_for

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "tests" / "README.md"]
PAGES += sorted(p for p in (ROOT / "docs").rglob("*.md") if not {"decisions", "reference"} & set(p.parts))
OURS = re.compile(r"(?<![\w./-])(?:dist/calico|calico-rkt|compile-profile) +(?![&|])[^`#;]+")
OPTION = re.compile(r"(?<![\w/-])--?[a-zA-Z][a-z-]*")
BLOCK = re.compile(r"^(?: {4}|\$ )(.*)$", re.MULTILINE)
SYNOPSIS = "["


def name(page):
    return str(page.relative_to(ROOT))


def command_and_options(line):
    """The command of `calico-rkt check [-C DIR]` and the options that are said with it."""
    program, first, *_ = [*line.split(), ""]
    command = "compile" if program == "compile-profile" else first
    rest = re.split(r"\s(?:&&|\|\|?|[<>]|2>)\s", re.sub(r"\$\([^)]*\)", "", line))[0]
    return command, OPTION.findall(rest.replace("|", " "))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_options_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    for piece in (*BLOCK.findall(text), *re.findall(r"`([^`\n]+)`", text)):
        for line in OURS.findall(piece):
            command, options = command_and_options(line)
            if command in ("COMMAND", "--version"):
                continue
            assert command in COMMANDS, line
            known = {o for action in parser_for(command)._actions for o in action.option_strings}
            assert set(options) <= known, line


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_command_in_a_block_is_one_that_can_be_typed(page, capsys):
    lines = [x for x in BLOCK.findall(page.read_text(encoding="utf-8")) if OURS.match(x) and SYNOPSIS not in x]
    for line in lines:
        for program, *words in calls(re.split(r"\s+#\s", line)[0]):
            command = "compile" if program == "compile-profile" else words.pop(0)
            try:
                parser_for(command).parse_args(words)
            except SystemExit:
                pytest.fail(f"{line}: {capsys.readouterr().err}")


def test_pages_show_commands():
    shown = {name(p): sum(bool(OURS.match(x)) for x in BLOCK.findall(p.read_text(encoding="utf-8"))) for p in PAGES}
    assert sum(shown.values()) > 90
    assert shown["README.md"] > 15
