"""A bare host in, a first network on it out: `calico-rkt init`."""

from __future__ import annotations

import argparse
import os

from calico_rkt.compiler.workspace.host import host_confs
from calico_rkt.plugin.commands.network import ENDS, WHOM, add_whom, write
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.networks.plan import planned
from calico_rkt.plugin.networks.runtimes import the_one_here
from calico_rkt.plugin.networks.subnets import free, parsed, taken_here

EPILOG = f"""RUNTIME, without --for the one that is found here:
{WHOM}
examples:
  calico-rkt init                          the network web, with a subnet that is free, for the runtime that is here
  calico-rkt init shop 10.20.0.0/16 --for containerd
  calico-rkt init --dry-run                only show the files

A second network: calico-rkt network add NAME SUBNET. {ENDS}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", default="web", help="the network's name (default: web)")
    parser.add_argument(
        "subnets", metavar="SUBNET", nargs="*", help="its addresses (default: the first 10.9x.0.0/24 that is free)"
    )
    add_whom(parser)


def run(args: argparse.Namespace) -> int:
    """Show, ask and write; the exit status. CniError where there are networks already, or it can't be."""
    if there := host_confs((), os.environ).paths:
        known = ", ".join(f"{name} ({path})" for name, path in there.items())
        raise CniError(
            Code.INVALID_ENVIRONMENT,
            f"this host has a network already: {known}",
            "calico-rkt network add NAME SUBNET adds one",
        )
    whom = args.whom or the_one_here()
    return write(planned(args.name, parsed(args.subnets) or [free(taken_here())], whom), args)
