"""A command line in, an exit status out: the table of calico-rkt's commands, and what holds for each of them."""

from __future__ import annotations

import errno
import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import calico_rkt
from calico_rkt.compiler.cli import compile_profile
from calico_rkt.compiler.cli.commands import REVIEW, parser_of, run_command
from calico_rkt.compiler.cli.process import answered, guarded


class Command(NamedTuple):
    """module: where its EPILOG, add_arguments(parser) and run(args) stand; words: what it does, in one line."""

    module: str
    words: str


def _here(name: str, words: str) -> Command:
    return Command(f"calico_rkt.plugin.commands.{name}", words)


GROUPS: Mapping[str, Mapping[str, Command]] = MappingProxyType(
    {
        "look at policy; needs no root and changes nothing": {
            "compile": Command("", "print the canonical profile of a network conf (the same as compile-profile)"),
            **{name: Command(f"calico_rkt.compiler.cli.{name}", words) for name, words in REVIEW.items()},
            "explain": _here("explain", REVIEW["explain"]),
        },
        "put policy in force": {
            "apply": _here("apply", "show what would change, ask, and publish what the host's files compile to"),
            "status": _here("status", "each network: in step, stale, edited; and what blocks forwarding"),
            "attest": _here("attest", "prove that the kernel enforces exactly the reviewed files, or show a packet"),
            "prune": _here("prune", "delete published profiles that no endpoint uses"),
            "export": _here("export", "write profiles, pools and endpoints as a file that calicoctl takes"),
            "import": _here("import_", "publish what export wrote, or what another datastore has"),
        },
        "attach what no runtime attaches by CNI": {
            "attach": _here("attach", "attach a network namespace of nspawn, a unit, Docker, LXC ..."),
            "detach": _here("detach", "take away what attach made"),
            "netavark": _here("netavark", "one call of netavark's, for podman 5 and later"),
        },
        "begin": {
            "init": _here("init", "write a first network for the runtime that is here"),
            "network": _here("network", "write another network: network add NAME SUBNET"),
        },
        "keep this host": {
            "ls": _here("ls", "which container is where: network, address, state"),
            "logs": _here("logs", "what the plugin and the agent said of a container or a network"),
            "trace": _here("trace", "live, why packets between two ends are dropped: rule, file and line"),
            "doctor": _here("doctor", "what is wrong with this host, what follows, and what cures it"),
            "gc": _here("gc", "free endpoints whose network namespace is gone, and name what is kept"),
            "restore": _here("restore", "rebuild the nftables table from leases and published profiles"),
            "agent": _here("agent", "serve CNI calls from a warm process, until SIGTERM"),
            "install": _here("install", "put the plugin and all that belongs to it onto this host"),
            "downgrade": _here("downgrade", "give this host's records to an older build, before it is put back"),
            "uninstall": _here("uninstall", "take back what install put"),
        },
    }
)
"""The commands in the order of `calico-rkt --help`. Nothing of a command is imported before it is asked for."""
COMMANDS: Mapping[str, Command] = MappingProxyType({n: c for group in GROUPS.values() for n, c in group.items()})

_FORBIDDEN = (os.strerror(errno.EACCES), os.strerror(errno.EPERM))
_USAGE = "usage: calico-rkt COMMAND ...\n"
_ENDS = """examples:
  calico-rkt compile net.conf              the canonical profile of a conf
  calico-rkt check -C ./net.d              what is wrong or idle in confs and overrides
  calico-rkt apply                         show what would change, ask, and publish it
  calico-rkt status --format json

exit status: 0 done or nothing to say, 1 findings or a refusal, 2 bad usage or unreadable input
calico-rkt COMMAND --help says more of each; calico-rkt --version which build this is
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command; argv without the program's name."""
    args = sys.argv[1:] if argv is None else argv
    program = f"calico-rkt {args[0]}" if args and args[0] in COMMANDS else "calico-rkt"
    return guarded(program, lambda: _main(args))


def parser_for(name: str) -> ArgumentParser:
    """The command line of a command of COMMANDS; its epilog has the examples and the exit statuses."""
    from importlib import import_module

    from calico_rkt.compiler.cli import compile as compiling

    command = COMMANDS[name]
    return parser_of(import_module(command.module), name, command.words) if command.module else compiling.parser()


def _main(args: list[str]) -> int:
    name = args[0] if args else ""
    if name in COMMANDS:
        if name == "compile":
            return compile_profile(args[1:])
        return run_command(COMMANDS[name].module, name, COMMANDS[name].words, args[1:], _answered)
    if name in ("-h", "--help", "help"):
        print(_help(), end="")
        return 0
    if name == "--version":
        print(f"calico-rkt {calico_rkt.__version__}")
        return 0
    print(_USAGE + _unknown(name), end="", file=sys.stderr)
    return 2


def _help() -> str:
    groups = (
        f"{title}:\n" + "".join(f"  {name:<10} {command.words}\n" for name, command in group.items())
        for title, group in GROUPS.items()
    )
    return f"{_USAGE}\nNetwork policy of containers: compile, review, put in force.\n\n" + "\n".join((*groups, _ENDS))


def _unknown(name: str) -> str:
    if not name:
        return "calico-rkt: a command is missing; calico-rkt --help lists them\n"
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"calico-rkt: there is no command {name!r}{meant} calico-rkt --help lists them\n"


def _answered(style: str, action: Callable[[], int]) -> int:
    """Run the action; its exit status, or 2 with what is wrong on stderr."""
    try:
        return answered(style, action)
    except Exception as e:
        from calico_rkt.plugin.errors import CniError

        if not isinstance(e, CniError):
            raise
        # Words, whatever name or file of somebody else's they are a part of.
        from calico_rkt.compiler.diagnostics import printable_lines

        print(f"calico-rkt: {printable_lines(e.msg)}", file=sys.stderr)
        if e.details:
            print(printable_lines(e.details.rstrip("\n")), file=sys.stderr)
        if os.geteuid() and any(words in f"{e.msg}\n{e.details}" for words in _FORBIDDEN):
            print("this is for root: sudo calico-rkt ...", file=sys.stderr)
        return 2
