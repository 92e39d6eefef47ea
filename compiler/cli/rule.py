"""Codes of diagnostics in, what each means and the way out: `calico-rkt rule`."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from importlib.resources import files

from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.compiler.cli.process import write_stdout

EPILOG = """\
examples:
  calico-rkt rule CR301           what it means, and the way out
  calico-rkt rule CR301 CR712
  calico-rkt rule                 every code, a line each
  calico-rkt rule --format json

exit status: 0 printed, 2 no such code, or bad usage"""

_ROW = re.compile(r"^\| (CR\d{3}) \| ([^|]*) \| (.*) \|$", re.MULTILINE)
_FIRST = re.compile(r"[.;](?: |$)")
_WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("codes", nargs="*", metavar="CODE", help="such as CR301; without one all are listed")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print the pages of the codes; the exit status."""
    pages = {code: (severity, words) for code, severity, words in written()}
    codes = [code.upper() for code in args.codes]
    unknown = [code for code in codes if code not in pages]
    for code in unknown:
        print(f"calico-rkt rule: there is no code {code!r}; calico-rkt rule lists all", file=sys.stderr)
    if unknown:
        return 2
    shown = {code: pages[code] for code in dict.fromkeys(codes)} if codes else pages
    if args.format == "json":
        rows = [{"code": code, "severity": severity, "text": words} for code, (severity, words) in shown.items()]
        write_stdout(document("rule", {"rules": rows}))
    else:
        write_stdout("\n".join(map(_page, shown.items())) if codes else _list(shown))
    return 0


def written() -> Iterator[tuple[str, str, str]]:
    """Code, severity and text of each row of docs/codes, in the order of the codes."""
    found = [
        (code, severity, words.replace("\\|", "|"))
        for page in files("calico_rkt").joinpath("codes").iterdir()
        if page.name.endswith(".md")
        for code, severity, words in _ROW.findall(page.read_text("utf-8"))
    ]
    yield from sorted(found)


def _page(item: tuple[str, tuple[str, str]]) -> str:
    code, (severity, words) = item
    return f"{code}, {severity}\n\n" + textwrap.fill(words, _WIDTH, initial_indent="  ", subsequent_indent="  ") + "\n"


def _list(pages: Mapping[str, tuple[str, str]]) -> str:
    """A line each: the first sentence, as far as it fits."""
    return "".join(
        f"{code}  {textwrap.shorten(_FIRST.split(words)[0], _WIDTH - 7, placeholder=' ...')}\n"
        for code, (_, words) in pages.items()
    )
