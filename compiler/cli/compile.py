"""A conf in, a profile on stdout and diagnostics on stderr out: the `compile-profile` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from calico_rkt import __version__
from calico_rkt.compiler.cli.common import coloured, write, write_file
from calico_rkt.compiler.cli.formats import render_as
from calico_rkt.compiler.conf import LARGEST_CONF, NetConf, parse_conf
from calico_rkt.compiler.diagnostics import CompileError, Diagnostic, error, warning

TARGET_NAMES = ("calico-v3", "calico-v1", "nftables")

_EXAMPLES = """\
examples:
  compile-profile net.conf                         the Calico v3 profile of the network
  compile-profile net.conf | calicoctl apply -f -  the same, applied on a Calico cluster
  compile-profile net.conf --target nftables       what the local datastore puts into the kernel
  compile-profile net.conf --explain               which line of which file each rule came from
  compile-profile - --profiles ./profiles < net.conf

The overrides are the *.yaml and *.yml files of --profiles; without it those of `profiles/` beside the conf
where there is one, else those of the conf's profiles_dir.

exit status: 0 compiled (warnings are on stderr), 2 bad usage, or a file that can't be read or compiled"""


def run(argv: Sequence[str] | None) -> int:
    """Run the command; the exit status."""
    return _run(_parser().parse_args(argv))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="compile-profile",
        description="Compile a CNI network conf, and the overrides beside it, into one canonical Calico profile.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("conf", metavar="net.conf", help="the network conf (.conf or .conflist), or - for stdin")
    parser.add_argument("--target", choices=TARGET_NAMES, default=TARGET_NAMES[0], help="default: %(default)s")
    parser.add_argument("--profiles", metavar="DIR", type=Path, help="the folder of the overrides")
    parser.add_argument("--explain", action="store_true", help="print where each rule comes from, not the profile")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the profile to FILE, whole or not at all")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the diagnostics on stderr")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _run(args: argparse.Namespace) -> int:
    from calico_rkt.compiler.pipeline import compile_network
    from calico_rkt.compiler.workspace.files import read_profiles, unread
    from calico_rkt.compiler.workspace.policy import findings, known_ids, parse_files, policy_for, unused

    warnings: tuple[Diagnostic, ...] = ()
    try:
        conf, warnings = _read_conf(args.conf)
        folder, found = _profiles(args, conf)
        files = parse_files(read_profiles(folder))
        policy = policy_for(conf.name, files)
        names = _names_beside(args.conf)
        found += unread(folder)
        if names:
            found += findings(policy, files, names)
            found += unused(files, names) if _is_workspace(args.conf, folder) else ()
        known = known_ids(policy, files, names) if names else None
        compiled = compile_network(conf, policy, args.target, found, known_ids=known)
    except CompileError as e:
        _report((*warnings, *e.diagnostics), args.format)
        return 2
    _report((*warnings, *compiled.diagnostics), args.format)
    if args.output and args.output != "-":
        write_file(args.output, compiled.text)
    elif not args.explain:
        write(compiled.text)
    if args.explain:
        from calico_rkt.compiler.explain import explain

        write(explain(compiled.network, policy.override, policy.defaults))
    return 0


def _read_conf(path: str) -> tuple[NetConf, tuple[Diagnostic, ...]]:
    from calico_rkt.compiler.workspace.files import read_file

    if path != "-":
        return parse_conf(read_file(Path(path)), path, preview=True, environ=os.environ)
    try:
        data = sys.stdin.buffer.read(LARGEST_CONF + 1) if sys.stdin else b""
    except OSError as e:
        raise CompileError([error("CR708", f"can't be read: {e.strerror}", path="<stdin>")]) from e
    return parse_conf(data, "<stdin>", preview=True, environ=os.environ)


def _profiles(args: argparse.Namespace, conf: NetConf) -> tuple[Path, tuple[Diagnostic, ...]]:
    """The folder of the overrides, and a warning where the plugin here reads another one."""
    if args.profiles is not None:
        if not args.profiles.is_dir():
            raise CompileError([error("CR701", "there is no such folder", path=str(args.profiles))])
        return args.profiles, ()
    on_host = Path(conf.profiles_dir)
    beside = None if args.conf == "-" else Path(args.conf).parent / "profiles"
    if beside is None or not beside.is_dir():
        return on_host, ()
    if _holds_files(on_host) and not on_host.samefile(beside):
        message = f"read from here; the plugin on this host reads {on_host}"
        return beside, (warning("CR709", message, path=str(beside), hint=f"--profiles {on_host} shows what it does"),)
    return beside, ()


def _is_workspace(conf: str, folder: Path) -> bool:
    """Whether the overrides stand beside the conf, so that all of them should have a conf here."""
    return os.path.realpath(folder.parent) == os.path.realpath(Path(conf).parent)


def _holds_files(folder: Path) -> bool:
    """Whether there is anything in a folder, as far as this user can see."""
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def _names_beside(path: str) -> tuple[str, ...]:
    """The names of the networks that confs of this folder have; none for stdin, where nobody can tell."""
    from calico_rkt.compiler.workspace.names import conf_names

    return () if path == "-" else conf_names(Path(path).parent)


def _report(diagnostics: Iterable[Diagnostic], style: str) -> None:
    """Here stdout is the profile's, in every format."""
    found = tuple(dict.fromkeys(diagnostics))
    sys.stderr.write(render_as(style, found, colour=coloured(sys.stderr)))
