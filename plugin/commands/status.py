"""The host's confs in; what becomes of each network, what blocks forwarding and what the agent does, printed, out."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from calico_rkt.compiler.cli.formats.findings import finding_values, findings_in_order
from calico_rkt.compiler.cli.formats.json_document import document
from calico_rkt.compiler.cli.preface import preface, read_values
from calico_rkt.compiler.cli.process import coloured
from calico_rkt.compiler.diagnostics import render_diagnostics
from calico_rkt.compiler.workspace.confs import READERS
from calico_rkt.compiler.workspace.host import HOST_FOLDERS, read_by
from calico_rkt.plugin.agent.summary import METRICS, ask
from calico_rkt.plugin.commands import options
from calico_rkt.plugin.enforce.differences import is_mendable, is_unfit, is_unrecorded
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.process.log import open_log
from calico_rkt.plugin.publish.host_confs import Decided, decided
from calico_rkt.plugin.publish.host_state import HostState, look_at_host, networks_in
from calico_rkt.plugin.publish.local import LOCAL
from calico_rkt.plugin.store.folders import folders

EPILOG = """\
examples:
  calico-rkt status
  calico-rkt status --format json
  calico-rkt status -C ./net.d --profiles ./profiles   how this host stands to other files

exit status: 0 all is as it should be; 1 something is not, and is named; 2 bad usage, or something that can't be read"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_confs(parser)
    options.add_profiles(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: %(default)s")
    parser.add_argument("--no-agent", action="store_true", help="leave out what the agent says of itself")


def run(args: argparse.Namespace) -> int:
    """Print it; 2 where something can't be read, 1 where something is not as it should be, else 0."""
    open_log("info")
    return _status(decided(args.confs, args.profiles), as_json=args.format == "json", with_agent=not args.no_agent)


def _status(host: Decided, *, as_json: bool, with_agent: bool) -> int:
    """Print it; 2 where something can't be read, 1 where something is not as it should be, else 0."""
    told, found = host.told(), look_at_host(host)
    blocked = [f"{f.what}; {f.mend}" for f in found.blocked]
    agent = ask(folders()[0] / METRICS) if with_agent else None
    if as_json:
        shown = [dataclasses.asdict(s) | {"datastore": name} for name, s in found.networks]
        more: dict[str, object] = {"table": found.has_table, "differences": list(found.differs)}
        more |= {"blocked": blocked, "warnings": list(found.warnings)}
        if with_agent:
            more["agent"] = dataclasses.asdict(agent) if agent else None
        more["confs"] = _confs(host)
        more["findings"] = [finding_values(d) for d in findings_in_order(told)]
        print(document("status", {"networks": shown, **more}, read_values(host.workspace)), end="")
    else:
        print(preface(host.workspace), end="")
        for line in _suffixes(host):
            print(line)
        _print_status(found, blocked, confs=bool(host.known or host.workspace.unusable))
        for line in found.warnings:
            print(f"warning: {line}")
        if with_agent:
            print(f"agent: {agent or 'none: each call starts a process of its own (calico-rkt agent)'}")
        sys.stdout.flush()
        print(render_diagnostics(told, colour=coloured(sys.stderr)), end="", file=sys.stderr)
    bad = found.wrong or blocked or found.differs or found.warnings
    return max(host.status(), 2 if found.away else 0, 1 if bad else 0)


def _confs(host: Decided) -> list[dict[str, object]]:
    paths = host.workspace.conf_paths
    return [
        {"network": name, "path": path, "read_by": [who for who in read_by(path).split(", ") if who]}
        for name, path in paths.items()
    ]


_NOT_BY = {".conf": "; not by podman", ".json": "; not by podman", ".conflist": "; not by rkt"}
"""Those who pass over such a file without a word."""


def _suffixes(host: Decided) -> list[str]:
    """Who reads the confs that are here, one line a suffix; rkt has a folder of its own."""
    counts = Counter(PurePath(path).suffix for path in host.workspace.conf_paths.values() if read_by(path))
    own = f"rkt (in {HOST_FOLDERS[0]})"
    return [
        f"{counts[suffix]} *{suffix}, read by {who.replace('rkt', own)}{_NOT_BY.get(suffix, '')}"
        for suffix, who in READERS.items()
        if counts[suffix]
    ]


def _print_status(found: HostState, blocked: Sequence[str], *, confs: bool) -> None:
    """confs: there are some, though of their networks nothing may be known, where their datastore is away."""
    print(f"{'network':<24} {'profile':<14} {'endpoints':>9}  in the kernel")
    words = {None: _NOT_LOADED.get(found.standing, "no"), True: "yes", False: "another version"}
    differing = {named for line in found.differs for named in networks_in(line)}
    for name, s in found.networks:
        where = words[s.loaded] if name == LOCAL else f"Felix, by {name}"
        if name == LOCAL and s.network_id in differing:
            where = "differs"
        print(f"{s.network or s.network_id:<24} {s.state:<14} {s.endpoints:>9}  {where}")
        if s.why:
            print(f"    {s.why}")
    if not found.networks and not confs:
        print("(no network is published or has a conf here)")
    for line in found.differs:
        print(f"differs: {line}")
    if any(map(is_unrecorded, found.differs)):
        print("calico-rkt doctor says what to do about the state file; a restore does nothing without it")
    elif any(map(is_mendable, found.differs)):
        print(_way_out(found.standing))
    if any(map(is_unfit, found.differs)):
        print("calico-rkt doctor says what cures an unfit profile; a restore does not")
    for line in blocked:
        print(f"blocked: {line}")


_NOT_LOADED = {table.Standing.NEWER: "by a newer build"}


def _way_out(standing: table.Standing) -> str:
    if standing is table.Standing.NEWER:
        return table.NewerTableError().details
    if standing is table.Standing.HELD:
        return table.HeldTableError().details
    return "calico-rkt restore puts right what differs"
