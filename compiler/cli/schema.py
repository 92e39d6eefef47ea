"""Nothing in, the JSON Schema of the files in `profiles/`, of confs or of answers in JSON out: `calico-rkt schema`."""

from __future__ import annotations

import argparse
import json

from calico_rkt.compiler.cli.formats.json_schema import answers
from calico_rkt.compiler.cli.process import write_file, write_stdout
from calico_rkt.compiler.conf.schema import conf_schema
from calico_rkt.compiler.grammar.schema import schema

EPILOG = """\
examples:
  calico-rkt schema -o schema.json   of overrides, for editors
  calico-rkt schema conf             of network confs
  calico-rkt schema answers          of what the commands print with --format json

An override's first line then is: # yaml-language-server: $schema=../schema.json

exit status: 0 printed, 2 bad usage"""


_SCHEMAS = {"profiles": schema, "conf": conf_schema, "answers": answers}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=tuple(_SCHEMAS), nargs="?", default="profiles", help="default: %(default)s")
    parser.add_argument("--format", choices=("json",), default="json", help="default: %(default)s")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE, whole or not at all")


def run(args: argparse.Namespace) -> int:
    text = json.dumps(_SCHEMAS[args.what](), indent=2) + "\n"
    if args.output and args.output != "-":
        write_file(args.output, text)
    else:
        write_stdout(text)
    return 0
