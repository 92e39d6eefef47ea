"""The options that several commands on a host have, under one name each."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from calico_rkt.compiler.cli import naming


def add_confs(parser: argparse.ArgumentParser) -> None:
    """-C DIR: args.confs is a list of folders, None for this host's own."""
    naming.add_confs(parser, "rkt's and CNI's; may be given again", dest="confs", action="append")
    parser.add_argument("--revision", action=_NoRevision, metavar="REV", help=argparse.SUPPRESS)


def add_profiles(parser: argparse.ArgumentParser) -> None:
    """--profiles DIR: args.profiles is a folder, None for those that the confs name."""
    naming.add_profiles(parser)


def add_asking(parser: argparse.ArgumentParser) -> None:
    """--yes and --dry-run of a command that shows what it would do and asks."""
    parser.add_argument("--yes", action="store_true", help="don't ask")
    parser.add_argument("--dry-run", action="store_true", help="only show; exit status 1 when something would change")


def add_insisting(parser: argparse.ArgumentParser) -> None:
    """--no-tests and --take-over of a command that publishes."""
    parser.add_argument("--no-tests", action="store_true", help="also where tests or guardrails would not hold")
    parser.add_argument("--take-over", action="store_true", help="also replace a profile that was edited by hand")


DATASTORE = """DATASTORE is local (this host's own), etcdv3 or etcdv2 (the Calico cluster of that kind that a conf or
ETCD_ENDPOINTS names), or the URL of a member of an etcdv3 cluster (TLS files and user come from the conf that names
it, else from ETCD_CA_CERT_FILE, ETCD_CERT_FILE, ETCD_KEY_FILE, ETCD_USERNAME and ETCD_PASSWORD). Without a name: the
one that the confs name."""
"""What a name after --from and --to may be; for the end of a help text."""


def add_source(parser: argparse.ArgumentParser) -> None:
    """--from DATASTORE: args.source, empty for the one that the confs name."""
    parser.add_argument("--from", dest="source", default="", metavar="DATASTORE", help="where from")


_DIGITS = 10


def number_of(things: str) -> Callable[[str], int]:
    """What reads a positive number of them from a command line."""

    def parsed(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < _DIGITS and int(text) > 0):
            raise argparse.ArgumentTypeError(f"{text!r} is no number of {things}")
        return int(text)

    return parsed


class _NoRevision(argparse.Action):
    """--revision of a command about a host: refused with the way out, as REV would else be taken for a name."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002 - argparse gives it
        values: object,
        option_string: str | None = None,
    ) -> None:
        out = f"git worktree add /tmp/{values} {values} checks it out, and -C names the folder there"
        parser.error(f"{option_string}: a host's files are read as they are; {out}")
