"""A container or a network in; what the plugin and the agent said of it, printed out: `calico-rkt logs`."""

from __future__ import annotations

import argparse
import re
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from calico_rkt.compiler.cli.formats.json_document import json_line
from calico_rkt.compiler.cli.process import pause
from calico_rkt.compiler.diagnostics import printable
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.containers.listed import Row, has_records, listed
from calico_rkt.plugin.containers.log_lines import About, Record, at_end, coming, kept
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.log import log_file
from calico_rkt.plugin.publish.host_confs import decided

EPILOG = """\
WHICH: a container's name, its id or the begin of it, an address, or a network. Of a container that is gone only the id
is known. Without WHICH: all lines.

examples:
  calico-rkt logs web1                 a container's ADD and DEL, warnings, errors
  calico-rkt logs web --since 2h       a network's, of the last two hours
  calico-rkt logs 3f2a --since 21:00 --follow
  calico-rkt logs --lines 20

They are read from /var/log/calico-rkt/calico-rkt.log (CALICO_RKT_LOG names another) and what logrotate kept of it.

exit status: 0 printed, 1 there is no such line, 2 bad usage, or the log can't be read"""

_AGO = re.compile(r"(\d{1,6})([smhd])\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "which", nargs="?", metavar="WHICH", help="a container, an address or a network (default: all lines)"
    )
    parser.add_argument("--since", type=_since, metavar="TIME", help="10m, 2h, 3d ago; 21:00; 2026-11-26; or both")
    parser.add_argument(
        "-n", "--lines", type=options.number_of("lines"), metavar="N", help="only the last N (default: all)"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is written, until Ctrl-C")
    options.add_confs(parser)
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="json: a line each; default: %(default)s"
    )


def run(args: argparse.Namespace) -> int:
    """Print them; the exit status. Raises CniError."""
    path = log_file()
    about = _about(args, path) if args.which is not None else None
    if not path.exists() and not args.follow:
        raise CniError(Code.IO, f"there is no log at {path}", "no call was logged yet, or CALICO_RKT_LOG names another")
    end = at_end(path) if args.follow else None  # a line that is written meanwhile comes twice rather than never
    found = (r for r in _read(path, kept(path)) if _is_wanted(r, args, about)) if path.exists() else iter(())
    printed = 0
    for record in deque(found, args.lines) if args.lines is not None else found:
        printed += 1
        _print(record, args.format)
    if args.follow:
        with suppress(KeyboardInterrupt):
            for record in _read(path, coming(path, end, pause)):
                if _is_wanted(record, args, about):
                    printed += 1
                    _print(record, args.format)
    if not printed:
        of = f"of {args.which!r}" if args.which is not None else "at all"
        print(f"calico-rkt: the log has no line {of}{' since then' if args.since else ''}", file=sys.stderr)
    return int(not printed)


def _read(path: Path, records: Iterator[Record]) -> Iterator[Record]:
    """The records as they are read; a CniError where they can't be. What can't be written is no error of the log."""
    try:
        yield from records
    except BrokenPipeError:  # nobody waits for more
        raise
    except OSError as e:
        raise CniError(Code.IO, f"{e.filename or path} can't be read: {e.strerror or e}") from e


def _is_wanted(record: Record, args: argparse.Namespace, about: About | None) -> bool:
    return (args.since is None or record.when >= args.since) and (about is None or about.fits(record))


def _about(args: argparse.Namespace, path: Path) -> About:
    """The word itself, and all that this host knows of whom it means: ids, addresses, host ends.

    What nobody here is called, and no line says, may be the begin of the id of a container that is gone.
    """
    word: str = args.which
    if not word:
        raise CniError(Code.INVALID_CONF, "an empty word names nobody", "leave it out for all lines")
    rows: list[Row] = listed(decided(args.confs, None))[0] if has_records() else []
    if any(row.network == word for row in rows):
        return About(frozenset({word}))
    mine = [row for row in rows if row.is_meant(word)]
    known = {text for r in mine for text in (r.container, r.host_ifname, *r.addresses)}
    hexadecimal = re.fullmatch(r"[0-9a-f]{4,64}", word)
    about = About(frozenset({word, *known}), (word,) if hexadecimal else ())
    if mine or (path.exists() and any(map(about.fits, _read(path, kept(path))))):
        return about
    return replace(about, ids=(word,))


def _print(record: Record, style: str) -> None:
    if style == "json":
        values = {"time": str(record.when), "process": record.process, "level": record.level, "text": record.text}
        print(json_line("log", values), flush=True)
    else:
        print("\n".join(printable(line) for line in str(record).split("\n")), flush=True)


def _since(text: str) -> datetime:
    """In local time, as the log has it; what no clock can say is refused as what is no time."""
    with suppress(OverflowError):
        if ago := _AGO.match(text):
            now = datetime.now().replace(microsecond=0)  # noqa: DTZ005 - here whole seconds, as in the log
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        today = datetime.now().date()  # noqa: DTZ005 - as above
        for form in (text, f"{today} {text}"):
            with suppress(ValueError):
                found = datetime.fromisoformat(form)
                return found.astimezone().replace(tzinfo=None) if found.tzinfo else found
    raise argparse.ArgumentTypeError(f"{text!r} is no time: 10m, 2h, 3d, 21:00, 2026-11-26 or '2026-11-26 21:00'")
