"""The warm process that serves CNI calls, until it is told to end: `calico-rkt agent`."""

from __future__ import annotations

import argparse
import gc

EPILOG = """\
examples:
  calico-rkt agent                  or the units in packaging/: docs/agent.md
  calico-rkt agent --metrics 9113   Prometheus metrics on 127.0.0.1:9113

exit status: 0 told to end, 2 bad usage, or a socket that is taken"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--metrics",
        default="",
        metavar="WHERE",
        help="Prometheus metrics at a path, PORT or 127.0.0.1:PORT (default: metrics.sock beside the agent's socket)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve; the exit status. Raises CniError where the sockets can't be had."""
    from calico_rkt.plugin.agent.run import run_agent as serve

    gc.enable()  # a command of one answer needs none; this process lives
    return serve(args.metrics)
