"""A network's name and subnets in, its conf and override on this host out: `calico-rkt network add`."""

from __future__ import annotations

import argparse
import os
import sys

from calico_rkt.compiler.cli.process import say_done
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.networks.plan import New, Plan, planned
from calico_rkt.plugin.networks.put import put
from calico_rkt.plugin.networks.runtimes import RUNTIMES, the_one_here
from calico_rkt.plugin.networks.subnets import parsed
from calico_rkt.plugin.publish.confirm import agreed

WHOM = "".join(f"  {name:<11} {runtime.words}\n" for name, runtime in RUNTIMES.items())
ENDS = """Nothing that is there is overwritten, and nothing of the runtime's own configuration is written: the lines
that it needs are printed, to be copied.

exit status: 0 written, 1 not agreed, or (with --dry-run) something would be written, 2 refused or bad usage; then
nothing was changed"""
EPILOG = f"""RUNTIME, without --for the one that is found here:
{WHOM}
examples:
  calico-rkt network add web 10.91.0.0/24
  calico-rkt network add back 10.92.0.0/24 --for podman --yes
  calico-rkt network add six 10.93.0.0/24 fd00:93::/64 --for cri --dry-run

{ENDS}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("add",), metavar="add", help="what to do: there is only this")
    parser.add_argument("name", metavar="NAME", help="what the network is to be called")
    parser.add_argument("subnets", metavar="SUBNET", nargs="+", help="its addresses; one IPv4 and one IPv6 at the most")
    add_whom(parser)


def add_whom(parser: argparse.ArgumentParser) -> None:
    """--for, --yes and --dry-run, as init has them, too."""
    parser.add_argument("--for", dest="whom", choices=tuple(RUNTIMES), metavar="RUNTIME", help="who is to read it")
    options.add_asking(parser)


def run(args: argparse.Namespace) -> int:
    """Show, ask and write; the exit status. CniError where the network can't be."""
    return write(planned(args.name, parsed(args.subnets), args.whom or the_one_here()), args)


def write(plan: Plan, args: argparse.Namespace) -> int:
    """Show a plan and, where somebody agrees, do it; the exit status."""
    print("\n".join(_shown(one, whole=not args.yes) for one in plan.new))
    print("".join(f"stays as it is: {words}\n\n" for words in plan.there), end="")
    if args.dry_run:
        return 1
    sys.stdout.flush()
    if not args.yes:
        if os.geteuid() and not all(os.access(one.path.parent, os.W_OK) for one in plan.new):
            raise CniError(Code.IO, "these files are written by root", "run it again as root; --dry-run only shows")
        if not agreed("Write this?"):
            return 1
    put(plan)
    say_done("written")
    if plan.needs:
        print(f"\n{plan.words} needs, which is not this program's to write:")
        print("".join(f"    {line}\n" for line in plan.needs), end="")
    print(f"\nthen:\n    {plan.use}\n    calico-rkt check && calico-rkt apply    # after each change of the override")
    return 0


def _shown(one: New, *, whole: bool) -> str:
    head = f"{one.path}{f' -> {one.link}' if one.link else ''}    ({one.words})"
    if not whole:
        return head
    return f"{head}\n" + "".join(f"    {line}\n" for line in ("" if one.same else one.text).splitlines())
