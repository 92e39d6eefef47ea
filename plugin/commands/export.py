"""What is ours in a datastore in, Calico resources as YAML out: `calico-rkt export`."""

from __future__ import annotations

import argparse
import sys

from calico_rkt.compiler.bundle.resources import Bundle
from calico_rkt.compiler.bundle.write import write_bundle
from calico_rkt.compiler.cli.process import write_file
from calico_rkt.compiler.diagnostics import counted, printable
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.exchange.datastore_names import datastore_named
from calico_rkt.plugin.exchange.export import export_bundle
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.publish.datastores import DatastoreSide
from calico_rkt.plugin.publish.host_confs import confs_of
from calico_rkt.plugin.publish.local import LOCAL

EPILOG = f"""\
examples:
  calico-rkt export                           what this host's confs' datastore has, on stdout
  calico-rkt export --from etcdv3 -o all.yaml
  calico-rkt export --from local | calicoctl apply -f -

{options.DATASTORE}

exit status: 0 done, 2 bad usage, a datastore that can't be read, or a profile that was edited by hand"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_source(parser)
    options.add_confs(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE, whole or not at all")
    parser.add_argument(
        "--endpoints",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="with endpoints, or without (default: those of a cluster, not those of this host, whose addresses no "
        "cluster's IPAM knows)",
    )


def run(args: argparse.Namespace) -> int:
    """Write them; the exit status. Raises CniError."""
    open_log("info")
    with datastore_named(args.source, confs_of(args.confs), "--from").open() as side:
        with_endpoints = side.name != LOCAL if args.endpoints is None else args.endpoints
        bundle = export_bundle(side, endpoints=with_endpoints)
        _warn_of_codes(bundle, side)
    if args.endpoints and not bundle.endpoints:
        print(f"calico-rkt: {side.name}: no endpoints that could be written", file=sys.stderr)
    text = write_bundle(bundle)
    to_file = args.output not in (None, "-")
    if not to_file:
        print(text, end="", flush=True)
    else:
        write_file(args.output, text)
    if not text:
        print(f"calico-rkt: {side.name} has nothing of ours", file=sys.stderr)
    elif to_file:
        kinds = (("profile", bundle.profiles), ("pool", bundle.pools), ("endpoint", bundle.endpoints))
        print(f"{printable(args.output)}: {', '.join(counted(len(things), word) for word, things in kinds)}")
    return 0


def _warn_of_codes(bundle: Bundle, side: DatastoreSide) -> None:
    """What is written may be given to any Calico: which profiles would stop a Felix, on stderr."""
    from calico_rkt.compiler.targets.felix import NFTABLES, coded

    felix = side.felix()
    if felix is not None and NFTABLES not in felix.modes:
        return
    for network in bundle.profiles:
        for where, _ in coded(network):
            words = f"network {network.name!r}: {where} names an ICMP code, which stops a Felix in nftables mode"
            print(f"calico-rkt: {words}", file=sys.stderr)
