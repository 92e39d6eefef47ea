"""The records of this host in, its endpoints with container, network and address printed out: `calico-rkt ls`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.containers.listed import SHORT, Row, listed
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.publish.host_confs import decided

EPILOG = """\
examples:
  calico-rkt ls                  every endpoint of this host
  calico-rkt ls web              those of a network, or of a container: its name, its id or the begin of it, its address
  calico-rkt ls --format json

STATE is "attached"; "gone", where its network namespace is (calico-rkt gc frees it); "no path", where that lives but
nothing leads there; "elsewhere", where another network namespace has its host end; "unfinished", while its ADD goes on
or after one that was killed. POLICY is how its network stands, as calico-rkt status says; "closed", where the kernel
has no rules for its interface and drops all of its packets; "not in force", where the host's table is not whole
(calico-rkt restore mends both); "not known", where another process holds that table. SINCE is when its network
namespace was made, in local time, where a file tells it. A container's name is read from podman's, Docker's,
containerd's or nerdctl's files, where those have one.

exit status: 0 printed, 1 nothing by that name, or a record can't be read, 2 bad usage"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("which", nargs="?", metavar="WHICH", help="a container, a network or an address (default: all)")
    options.add_confs(parser)
    options.add_profiles(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """Print them; the exit status. Raises CniError."""
    open_log("info")
    rows, damaged = listed(decided(args.confs, args.profiles))
    shown = [row for row in rows if args.which is None or row.is_meant(args.which)]
    if args.format == "json":
        print(document("ls", {"endpoints": [_values(row) for row in shown]}), end="")
    else:
        print("\n".join(_table(shown)), end="\n" if shown else "")
    for line in damaged:
        print(f"calico-rkt: {line}", file=sys.stderr)
    if not shown:
        what = "there is no endpoint on this host" if args.which is None else f"no endpoint is {args.which!r}'s"
        print(f"calico-rkt: {what}", file=sys.stderr)
    return int(bool(damaged) or (args.which is not None and not shown))


def _values(row: Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in Row.__slots__} | {"addresses": list(row.addresses)}


def _table(rows: Sequence[Row]) -> Iterator[str]:
    """Columns as wide as what stands in them."""
    if not rows:
        return
    head = ("NETWORK", "CONTAINER", "NAME", "IFNAME", "ADDRESS", "HOST END", "STATE", "POLICY", "SINCE")
    lines = [head, *map(_cells, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    for line in lines:
        yield "  ".join(f"{word:<{width}}" for word, width in zip(line, widths, strict=True)).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    addresses = ",".join(row.addresses)
    shown = (row.network, row.container[:SHORT], row.name, row.ifname, addresses, row.host_ifname, row.state)
    return tuple(word or "-" for word in (*shown, row.policy, row.since))
