"""A workspace in, who reaches whom and on what out: `calico-rkt matrix`."""

from __future__ import annotations

import argparse
import sys

from calico_rkt.compiler.cli.formats.matrix import render_matrix
from calico_rkt.compiler.cli.naming import add_bare_folder, add_workspace
from calico_rkt.compiler.cli.places import workspace_of
from calico_rkt.compiler.cli.preface import ended, preface, read_values, reservations_beside
from calico_rkt.compiler.cli.process import coloured, write_file, write_stdout
from calico_rkt.compiler.cli.processes import shared
from calico_rkt.compiler.cli.progress import progress
from calico_rkt.compiler.review.build import built
from calico_rkt.compiler.review.matrix import given_up, matrix_of

EPILOG = """\
examples:
  calico-rkt matrix                             a table, and below it what passes in each cell
  calico-rkt matrix -C net.d --format markdown  for a pull request or a wiki
  calico-rkt matrix --format svg -o who.svg     a picture

exit status: 0 printed, 2 bad usage, unreadable input, a rule that
apply refuses (CR540), or a pair that is not decided"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_workspace(parser)
    add_bare_folder(parser)
    parser.add_argument(
        "--format", choices=("text", "markdown", "csv", "svg", "json"), default="text", help="default: %(default)s"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE, whole or not at all")


def run(args: argparse.Namespace) -> int:
    workspace, world = built(workspace_of(args))
    with progress() as tell:
        found = matrix_of(world, tell, shared)
    head = preface(workspace) if args.format == "text" else ""
    text = head + render_matrix(
        args.format, found, colour=not args.output and coloured(sys.stdout), read=read_values(workspace)
    )
    text += reservations_beside(args.format, workspace)
    if args.output and args.output != "-":
        write_file(args.output, text)
    else:
        write_stdout(text)
    return ended(2 if given_up(found) else 0, workspace)
