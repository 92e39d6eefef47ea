"""A command line in, an exit status out: calico-rkt's commands for people."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

import calico_rkt
from calico_rkt.compiler.cli import compile_profile
from calico_rkt.compiler.cli.commands import REVIEW
from calico_rkt.compiler.cli.commands import run as review
from calico_rkt.compiler.cli.process import folder

EXCHANGE = {
    "export": "write profiles, pools and endpoints as a file that calicoctl takes",
    "import": "publish what export wrote, or what another datastore has",
}
MODULES = {
    "attach": "attach a network namespace whose runtime calls no CNI plugin: nspawn, units, Docker, LXC",
    "detach": "take away what attach made",
    "netavark": "one call of netavark's, for podman 5 and later",
    "install": "put the plugin and all that belongs to it onto this host",
    "uninstall": "take back what install put",
}
"""Each a module of its name here, with EPILOG, add_arguments(parser) and run(args)."""

EPILOG = """examples:
  calico-rkt compile net.conf              the canonical profile of a conf (the same as compile-profile)
  calico-rkt check ./net.d                 what is wrong or idle in confs and overrides
  calico-rkt apply                         show what would change, ask, and publish it
  calico-rkt apply --yes --confs ./net.d   the same from another folder, without asking
  calico-rkt status --format json
  calico-rkt install --to cni              put the binary where containerd and podman look

exit status: 0 done or nothing to say, 1 findings or a refusal, 2 bad usage or unreadable input"""


def main(argv: list[str] | None = None) -> int:
    """Run one command; argv without the program's name. Nothing of a command is imported before it is asked for."""
    args = sys.argv[1:] if argv is None else argv
    if args[:1] == ["compile"]:
        return compile_profile(args[1:])
    if args[:1] and args[0] in REVIEW:
        return review(args[0], args[1:])
    try:
        if args[:1] and args[0] in EXCHANGE:
            return _answered(lambda: _exchange(args[0], args[1:]))
        if args[:1] and args[0] in MODULES:
            return _answered(lambda: _module(args[0], args[1:]))
        parsed = _parser().parse_args(args)
        return _answered(lambda: _run(parsed))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 2
    except KeyboardInterrupt:
        print("calico-rkt: interrupted", file=sys.stderr)
        return 130


def _answered(action: Callable[[], int]) -> int:
    """Run the action; its exit status, or 2 with what is wrong on stderr."""
    from calico_rkt.compiler.diagnostics import CompileError, render
    from calico_rkt.plugin.errors import CniError

    try:
        return action()
    except CniError as e:
        print(f"calico-rkt: {e.msg}", file=sys.stderr)
        if e.details:
            print(e.details.rstrip("\n"), file=sys.stderr)
        return 2
    except CompileError as e:  # a file that was changed between two looks at it
        print(render(e.diagnostics), end="", file=sys.stderr)
        return 2


def _exchange(command: str, argv: list[str]) -> int:
    from calico_rkt.plugin.exchange.cli import exchange

    return exchange(command, argv)


def _module(command: str, argv: list[str]) -> int:
    from importlib import import_module

    module = import_module(f"calico_rkt.plugin.commands.{command}")
    parser = argparse.ArgumentParser(
        prog=f"calico-rkt {command}",
        description=MODULES[command],
        epilog=module.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    return int(module.run(parser.parse_args(argv)))


def _run(args: argparse.Namespace) -> int:
    if args.command == "agent":
        from calico_rkt.plugin.agent.run import run as serve

        return serve(args.metrics)
    from calico_rkt.plugin.commands.host import run

    return run(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="calico-rkt",
        description="Network policy of containers on this host: publish, look, clean up.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"calico-rkt {calico_rkt.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("compile", help="print the canonical profile of a network conf")
    for name, words in {**REVIEW, **EXCHANGE, **MODULES}.items():
        commands.add_parser(name, help=words)
    apply = commands.add_parser("apply", help="publish what the host's files compile to")
    status = commands.add_parser("status", help="each network: in step, stale, edited; and what blocks forwarding")
    ready: list[argparse.ArgumentParser] = [apply, status]
    for name, text in (
        ("prune", "delete published profiles that no endpoint uses"),
        ("gc", "free endpoints whose network namespace is gone, and name those that are kept without a path to it"),
    ):
        ready.append(commands.add_parser(name, help=text))
        ready[-1].add_argument("--dry-run", action="store_true", help="only show")
    ready[-1].add_argument(
        "--attachment",
        default="",
        metavar="NETWORK/CONTAINER/IFNAME",
        help="free this one, also where its network namespace lives but nothing leads there and nobody runs in it",
    )
    ready[-1].add_argument("--force", action="store_true", help="with --attachment: also a living container's")
    restore = commands.add_parser("restore", help="rebuild the nftables table from leases and published profiles")
    restore.add_argument(
        "--if-needed", action="store_true", help="only where the kernel differs from them; says what differs"
    )
    for command in ready:
        command.add_argument(
            "--confs", action="append", type=folder, metavar="DIR", help="folder of confs (default: rkt's and CNI's)"
        )
    for command in (apply, status):
        command.add_argument(
            "--profiles", type=folder, metavar="DIR", help="folder of overrides, instead of the confs' own"
        )
    apply.add_argument("networks", nargs="*", metavar="NETWORK", help="only these networks")
    apply.add_argument("--yes", action="store_true", help="don't ask")
    apply.add_argument("--dry-run", action="store_true", help="only show; exit status 1 when something would change")
    apply.add_argument("--no-tests", action="store_true", help="also where tests or guardrails would not hold")
    apply.add_argument("--take-over", action="store_true", help="replace a profile that was edited by hand")
    apply.add_argument(
        "--end-flows", action="store_true", help="end open flows that the policy denies, else they go on"
    )
    status.add_argument("--format", choices=("text", "json"), default="text")
    status.add_argument("--no-agent", action="store_true", help="leave out what the agent says of itself")
    agent = commands.add_parser("agent", help="serve CNI calls from a warm process, until SIGTERM")
    agent.add_argument(
        "--metrics",
        default="",
        metavar="WHERE",
        help="Prometheus metrics at a path, PORT or 127.0.0.1:PORT (default: metrics.sock beside the agent's socket)",
    )
    return parser
