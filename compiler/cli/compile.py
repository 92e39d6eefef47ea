"""A conf in, a profile on stdout and diagnostics on stderr out: the `compile-profile` command."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from calico_rkt import __version__
from calico_rkt.compiler.cli.formats.findings import render_as
from calico_rkt.compiler.cli.naming import add_profiles
from calico_rkt.compiler.cli.parser import Parser
from calico_rkt.compiler.cli.process import CALICO, coloured, read_whole, write_file, write_stdout
from calico_rkt.compiler.conf.netconf import NetConf
from calico_rkt.compiler.conf.shape import LARGEST_CONF
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error, printable
from calico_rkt.compiler.targets import TARGETS

EPILOG = """\
examples:
  compile-profile net.conf                         the Calico v3 profile of the network
  compile-profile net.conf | calicoctl apply -f -  the same, applied on a Calico cluster
  compile-profile net.conf --target nftables       what the local datastore puts into the kernel
  compile-profile net.conf --explain               which line of which file each rule came from
  compile-profile - --profiles ./profiles < net.conf

The overrides are the *.yaml and *.yml files of --profiles; without it those that the plugin uses (profiles_dir) where
the conf stands in one of this host's folders or comes by stdin, else those of `profiles/` beside the conf.

exit status: 0 compiled (warnings are on stderr), 2 bad usage, or a file that can't be read or compiled"""


def run(argv: Sequence[str] | None) -> int:
    """Run the command; the exit status."""
    return _run(parser().parse_args(argv))


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="compile-profile",
        description="Compile a CNI network conf, and the overrides beside it, into one canonical Calico profile.",
        epilog=EPILOG,
    )
    parser.add_argument("conf", metavar="net.conf", help="the network conf (.conf or .conflist), or - for stdin")
    parser.add_argument("--target", choices=tuple(TARGETS), default=next(iter(TARGETS)), help="default: %(default)s")
    add_profiles(parser)
    parser.add_argument("--explain", action="store_true", help="print where each rule comes from, not the profile")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the profile to FILE, whole or not at all")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the diagnostics on stderr")
    parser.add_argument(
        "--textconv",
        action="store_true",
        help="for git diff: what does not compile is shown as what is wrong, status 0",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _run(args: argparse.Namespace) -> int:
    from calico_rkt.compiler.pipeline import LOCAL, PROFILE, compile_network
    from calico_rkt.compiler.workspace.policy import findings, known_ids, policy_for
    from calico_rkt.compiler.workspace.single import policy_beside

    warnings: tuple[Diagnostic, ...] = ()
    try:
        conf, warnings = _read_conf(args.conf)
        path = None if args.conf == "-" else Path(args.conf)
        single = policy_beside(path, conf, os.environ, args.profiles)
        files, names = single.overrides.files, single.names
        policy = policy_for(conf.name, files)
        found = (*single.found, *(findings(policy, files, names) if names else ()))
        known = known_ids(policy, files, names) if names else None
        compiled = compile_network(conf, policy, args.target, found, known_ids=known)
    except CompileError as e:
        if args.textconv:
            _as_text(args.conf, (*warnings, *e.diagnostics))
            return 0
        _report((*warnings, *e.diagnostics), args.format)
        return 2
    _report((*warnings, *compiled.diagnostics), args.format)
    if args.output and args.output != "-":
        write_file(args.output, compiled.text)
    elif not args.explain:
        write_stdout(compiled.text)
    if args.explain:
        from calico_rkt.compiler.review.rule_lines import explain, explain_maps, explain_merged

        folder = single.overrides.folder if not single.overrides.absent else ""
        write_stdout(f"overrides: {folder or 'none'}\n")
        if conf.datastore_type != "local":
            write_stdout(f"{conf.name}: {CALICO}\n")
        write_stdout(explain(compiled.network, policy.override, policy.defaults, felix=conf.datastore_type != "local"))
        if args.target == PROFILE:
            write_stdout(explain_merged(compiled.network))
        if args.target == LOCAL:
            write_stdout(explain_maps(compiled.network))
    return 0


def _read_conf(path: str) -> tuple[NetConf, tuple[Diagnostic, ...]]:
    from calico_rkt.compiler.workspace.single import conf_at, conf_of

    if path != "-":
        return conf_at(Path(path), os.environ)
    try:
        data = read_whole(sys.stdin.buffer, LARGEST_CONF + 1) if sys.stdin else b""
    except OSError as e:
        raise CompileError([error("CR708", f"can't be read: {e.strerror}", path="<stdin>")]) from e
    return conf_of(data, os.environ)


def _as_text(path: str, diagnostics: Iterable[Diagnostic]) -> None:
    """For git, which gives each side a path of its own: what is wrong without places, then the conf as it stands."""
    from calico_rkt.compiler.workspace.files import read_file

    said = "".join(f"{d.code} {d.severity.value}: {printable(d.message)}\n" for d in dict.fromkeys(diagnostics))
    write_stdout(f"does not compile:\n{said}\n")
    with contextlib.suppress(CompileError):
        write_stdout(read_file(Path(path)).decode("utf-8", "backslashreplace"))


def _report(diagnostics: Iterable[Diagnostic], style: str) -> None:
    """Here stdout is the profile's, in every format."""
    found = tuple(dict.fromkeys(diagnostics))
    sys.stderr.write(render_as(style, found, colour=coloured(sys.stderr)))
