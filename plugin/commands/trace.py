"""Two ends in; live, why packets between them are dropped, printed out: `calico-rkt trace`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from contextlib import suppress

from calico_rkt.compiler.cli.formats.json_document import json_line
from calico_rkt.compiler.cli.packet import add_ends, parse_packet
from calico_rkt.compiler.cli.process import pause
from calico_rkt.compiler.diagnostics import printable
from calico_rkt.compiler.ir.model import PORT_PROTOCOLS, PortRange
from calico_rkt.compiler.text.values import BadValueError, parse_port
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.containers.listed import listed
from calico_rkt.plugin.containers.meant import meant
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.publish.host_confs import decided
from calico_rkt.plugin.publish.local import LOCAL
from calico_rkt.plugin.store.local import open_local
from calico_rkt.plugin.tracing import say
from calico_rkt.plugin.tracing.asked import Asked, Packets
from calico_rkt.plugin.tracing.lines import Lines
from calico_rkt.plugin.tracing.told import Teller
from calico_rkt.plugin.tracing.watch import Watch

EPILOG = """\
FROM and TO: a container's name, its id or the begin of it, a network, an address or CIDR, outside, or host; one of them
has to be a container or a network of this host. PACKET as explain has it: tcp/80, udp, icmp, protocol/47.

examples:
  calico-rkt trace web1 db1                 all packets between two containers, for a minute
  calico-rkt trace outside web1 tcp/8080    who comes in from outside, by a published port, too
  calico-rkt trace web1 host --port 53 --for 10
  calico-rkt trace web 192.0.2.7 --format json --count 5

It adds one nftables table of its own, inet calico_rkt_trace, which only marks the packets asked about for the kernel's
tracing. The table ends with the command, also when that is killed. Answers between the two are watched, too.

exit status: 0 all packets that came passed; 1 some were dropped, or none came; 2 bad usage or unreadable input"""

_MINUTE = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_ends(parser)
    parser.add_argument(
        "--port", type=_port, action="append", default=[], metavar="N", help="only to this port; again: or to that"
    )
    parser.add_argument(
        "--for", dest="seconds", type=_seconds, default=_MINUTE, metavar="SECONDS", help="how long (default: 60)"
    )
    parser.add_argument(
        "--count",
        type=options.number_of("packets"),
        default=0,
        metavar="N",
        help="end after so many packets (default: after none)",
    )
    options.add_confs(parser)
    options.add_profiles(parser)
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="json: a line a packet; default: %(default)s"
    )


def run(args: argparse.Namespace) -> int:
    """Watch, and tell each packet; the exit status. Raises CniError."""
    open_log("info")
    host = decided(args.confs, args.profiles)
    rows, damaged = listed(host)
    for line in damaged:
        print(f"calico-rkt: {line}", file=sys.stderr)
    source, destination = (meant(word, rows, host.known) for word in (args.source, args.destination))
    if any(r.datastore == LOCAL for r in (*source.rows, *destination.rows)):
        _warn()
    store = open_local()
    try:
        asked = Asked(source, destination, _packets(args), store.ranges())
        watch = Watch(asked, Teller(rows, Lines(host, store), destination))
        try:
            began = f"watching {source} -> {destination} for {args.seconds:g} s; Ctrl-C ends it"
            print(printable(began), file=sys.stdout if args.format == "text" else sys.stderr, flush=True)
            seen_before: Counter[object] = Counter()
            with suppress(KeyboardInterrupt):
                for told in watch.packets(args.seconds, args.count, lambda: pause(0)):
                    if args.format == "json":
                        _print(json_line("trace", {"time": round(time.time(), 3), **say.values(told)}))
                        continue
                    key = say.same(told)
                    seen_before[key] += 1
                    if seen_before[key] == 1:
                        _print("\n".join(printable(line) for line in say.lines(told, time.strftime("%H:%M:%S"))))
            seen = watch.count()
        finally:
            watch.close()
    finally:
        store.close()
    if args.format == "json":
        _print(json_line("trace_end", say.seen_values(seen, asked)))
    else:
        again = sum(seen_before.values()) - len(seen_before)
        more = f" ({again} of them like one above)" if again else ""
        first, *rest = say.summary(seen, asked)
        _print("\n".join(printable(line) for line in (first + more, *rest)))
    return 1 if seen.dropped or seen.lost or not seen.packets else 0


def _warn() -> None:
    """What packets meet says little where no policy is in force."""
    if words := table.why_not_in_force():
        print(f"calico-rkt: warning: {words}: calico-rkt status; calico-rkt restore", file=sys.stderr)


def _print(text: str) -> None:
    print(text, flush=True)


def _packets(args: argparse.Namespace) -> Packets:
    match = parse_packet(args.packet)
    ports = (*(p for p in match.destination.ports if isinstance(p, PortRange)), *args.port)
    if ports and match.protocol not in (None, *PORT_PROTOCOLS):
        raise CniError(Code.INVALID_CONF, f"{args.packet} has no ports", "leave out --port, or say tcp, udp or sctp")
    protocols = (match.protocol,) if match.protocol is not None else PORT_PROTOCOLS if ports else ()
    return Packets(protocols, tuple(dict.fromkeys(ports)), match.icmp)


def _port(text: str) -> PortRange:
    try:
        return parse_port(text)
    except BadValueError as e:
        raise argparse.ArgumentTypeError(f"{e.message}; {e.hint}" if e.hint else e.message) from e


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to a day")
    return found
