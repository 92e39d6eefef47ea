"""What was installed in; what of it somebody changed, wrote over or never put to work, out."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from calico_rkt.plugin.doctor.finding import ERROR, WARNING, Check, Finding, Place
from calico_rkt.plugin.doctor.host import Host
from calico_rkt.plugin.errors import CniError
from calico_rkt.plugin.install import payload, systemd
from calico_rkt.plugin.install.parts import PLUGIN, UNITS, parts

_PACKAGE = Path("/var/lib/dpkg/info/calico-rkt.list")
_LINKS = ("/opt/cni/bin/calico", "/usr/lib/rkt/plugins/net/calico", "/usr/lib/netavark/calico")
_DONE = {"enabled", "enabled-runtime", "static", "alias", "indirect", "linked", "generated"}


def files(host: Host) -> Check:
    """Each file that install put, by its checksum; of a package, by dpkg's."""
    try:
        changed = host.changed
    except CniError as e:
        yield Finding(
            "CR964", WARNING, e.msg, "uninstall takes nothing back", "calico-rkt install --replace", advice=True
        )
        return
    people = {p.path for p in parts("/usr/local") if p.owned_by_people}
    for path, words in changed.items():
        if path in people or _is_copy(path):
            continue
        is_program = path in (PLUGIN, *_LINKS)
        follows = (
            "containers are attached by something else, or not at all" if is_program else "it is not what docs speak of"
        )
        yield Finding(
            "CR960", ERROR if is_program else WARNING, words, follows, "calico-rkt install --replace", Place(path)
        )
    if _PACKAGE.exists():
        done = subprocess.run(["dpkg", "-V", "calico-rkt"], capture_output=True, text=True, check=False)
        for line in done.stdout.splitlines():
            kind, _, path = line.rpartition(" ")
            if " c" not in f"{kind} ":
                cure = "apt-get install --reinstall calico-rkt"
                yield Finding(
                    "CR960", ERROR, "is not what the package put there", "it may be anything", cure, Place(path)
                )
    if not changed:
        yield "what was installed is as it was put"


def _is_copy(path: str) -> bool:
    """Whether this program, of any build, is in the place of a link to it: `install --to` puts it there."""
    return path in _LINKS and payload.is_ours(Path(path))


def plugins(host: Host) -> Check:
    """Programs called `calico` where runtimes look, that are not ours, or of another build than the others."""
    try:
        changed = set(host.changed)
    except CniError:
        changed = set()
    looked = dict.fromkeys(f"{f.path}/calico" for r in host.readers for f in r.plugins)
    seen: dict[str, str] = {}
    for path in dict.fromkeys((PLUGIN, *_LINKS, *looked)):
        if not os.path.lexists(path) or (path in changed and not _is_copy(path)):
            continue
        if not payload.is_ours(Path(path)):
            follows = "containers are attached by that program, and no policy of ours holds for them"
            what = "is another program of that name" if Path(path).exists() else "is a link that leads nowhere"
            cure = f"mv {shlex.quote(path)} {shlex.quote(path)}.other && calico-rkt install"
            yield Finding(
                "CR961", ERROR, f"{what}: stock Calico's plugin is called so, too", follows, cure, Place(path)
            )
            continue
        seen.setdefault(payload.build_of(Path(path)), path)
    if len(seen) > 1:
        (build, path), (other, second) = list(seen.items())[:2]
        message = f"is build {build[:12]}, and {second} is build {other[:12]}"
        follows = "the agent serves one of them only, and each knows its own layout of the table"
        cure = f"the one that is to stay puts itself where runtimes look: {path} install, or {second} install"
        yield Finding("CR962", WARNING, message, follows, cure, Place(path), advice=True)
    elif seen:
        yield f"every `calico` where runtimes look is build {next(iter(seen))[:12]}"


def units(_: Host) -> Check:
    """Units that are installed and do nothing."""
    if not shutil.which("systemctl"):
        return
    there = [u for u in UNITS if any(Path(f, u).exists() for f in ("/etc/systemd/system", "/lib/systemd/system"))]
    off = [u for u in there if _enabled(u) not in _DONE]
    now = ["--now"] if systemd.runs() else []
    for unit in off:
        follows = (
            "each call starts a process of its own, which takes longer"
            if unit.endswith(".socket")
            else "after a reload of the host's firewall containers stay cut off or open until somebody looks"
        )
        cure = shlex.join(["systemctl", "enable", *now, unit])
        yield Finding("CR963", WARNING, f"{unit} is installed and not enabled", follows, cure, harmless=True)
    if there and not off:
        yield f"{', '.join(there)} are enabled"


def _enabled(unit: str) -> str:
    """By files alone: it is asked where no systemd runs, too."""
    done = subprocess.run(["systemctl", "--root=/", "is-enabled", unit], capture_output=True, text=True, check=False)
    return done.stdout.strip()
