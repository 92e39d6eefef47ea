"""`calico-rkt netavark` in: one call of netavark's, as its link in the folder of drivers gets them, out."""

from __future__ import annotations

import argparse

EPILOG = """netavark itself calls this program, by its link in /usr/lib/netavark: its name is the driver's, calico. VERB
is create, setup, teardown or info; JSON comes on stdin, the answer goes to stdout.

examples:
  podman network create --driver calico web   where a conf of the host (/etc/cni/net.d, /etc/rkt/net.d) has this name
  podman run --network web ...
  calico-rkt netavark info                    what netavark asks first

exit status: 0 done, 1 not, with {"error": why} on stdout"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb, and the namespace's path where it has one: the driver judges them, and says so in JSON."""
    parser.add_argument("words", nargs="*", metavar="VERB [NETNS]", help="create, setup, teardown or info")


def run(args: argparse.Namespace) -> int:
    """The driver's exit status."""
    from calico_rkt.plugin.netavark.driver import run as drive

    return drive(args.words)
