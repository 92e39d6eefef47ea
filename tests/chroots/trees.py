"""A Debian release and names of its packages in, a folder with such a system out: made once a run, or once a cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

CACHE = "CALICO_CHROOTS"
"""Names a folder that keeps trees from run to run; else they are gone with the run."""
_OF_RUN = "CALICO_CHROOTS_OF_THIS_RUN"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_LINES = ("Acquire::http", "Acquire::https", "Acquire::Retries", "Acquire::ForceIPv")
"""What of the machine's apt configuration says how packages are reached."""

# No service of a package starts, and nothing that is mounted here is seen outside. $1: the tree, $2: certificates.
_INSTALL = """
set -eu
tree=$1 certificates=$2
shift 2
mount -t proc proc "$tree/proc"
mount -t tmpfs tmpfs "$tree/run"
mount --rbind /dev "$tree/dev"
if [ -e "$certificates" ]; then
    : >"$tree/run/host-certificates.crt"
    mount --bind "$certificates" "$tree/run/host-certificates.crt"
fi
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
chroot "$tree" apt-get -q update
chroot "$tree" apt-get -q -y install --no-install-recommends "$@"
chroot "$tree" apt-get clean
"""


def tree(release: str, *packages: str) -> Path:
    """The root of a system of this release ("bookworm", "trixie"): minbase and these packages, for reading alone.

    RuntimeError with what apt said where it can't be made. Two processes that ask for one make it once.
    """
    named = " ".join(sorted(packages))
    name = f"{release}-{hashlib.sha256(named.encode()).hexdigest()[:12]}" if packages else release
    made = _folder() / name
    with _locked(made.with_suffix(".lock")):
        if not made.is_dir():
            building = made.with_suffix(".building")
            shutil.rmtree(building, ignore_errors=True)
            if packages:
                _add(tree(release), building / "root", packages)
            else:
                _bootstrap(release, building / "root")
            (building / "mounted").mkdir()
            building.rename(made)
    return made / "root"


def drop_trees() -> None:
    """Delete this run's trees: for the process that started the others, when it ends."""
    folder = os.environ.pop(_OF_RUN, "")
    if folder and Path(folder).is_dir():
        shutil.rmtree(folder)


def keep_trees_of_this_run() -> None:
    """Choose the folder that all processes of this run share; nothing is made before a test asks."""
    os.environ.setdefault(_OF_RUN, f"{tempfile.gettempdir()}/calico-rkt-chroots-{os.getpid()}")


def certificates() -> str:
    """The file of those that this machine's apt trusts; a host has it as /run/host-certificates.crt."""
    said = _apt("apt-config", "shell", "C", "Acquire::https::CaInfo").removeprefix("C='").rstrip("'\n")
    return said or _CERTIFICATES


def _folder() -> Path:
    folder = Path(os.environ.get(CACHE) or os.environ[_OF_RUN])
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _bootstrap(release: str, root: Path) -> None:
    uri, keyring = _source()
    proxy = _apt("apt-config", "shell", "P", "Acquire::http::Proxy").removeprefix("P='").rstrip("'\n")
    root.mkdir(parents=True)
    include = ("--include=ca-certificates",) if uri.startswith("https") else ()
    ring = (f"--keyring={keyring}",) if keyring else ()
    env = {**os.environ, **({"http_proxy": proxy} if proxy not in ("", "DIRECT") else {})}
    _run("debootstrap", "--variant=minbase", *include, *ring, release, str(root), uri, env=env)
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    lines = [line for line in _apt("apt-config", "dump").splitlines() if line.startswith(_LINES)]
    certificates = 'Acquire::https::CaInfo "/run/host-certificates.crt";'
    kept = [line for line in lines if "CaInfo" not in line] + [certificates]
    (root / "etc/apt/apt.conf.d/90host").write_text("\n".join(kept) + "\n")
    (root / "etc/dpkg/dpkg.cfg.d/host").write_text("force-unsafe-io\n")
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)


def _add(base: Path, root: Path, packages: tuple[str, ...]) -> None:
    root.parent.mkdir(parents=True)
    _run("cp", "-a", "--reflink=auto", str(base), str(root))
    enter = ("unshare", "-m", "--propagation", "private", "sh", "-c", _INSTALL, "sh")
    _run(*enter, str(root), certificates(), *packages)


def _source() -> tuple[str, str]:
    """Where this machine gets Debian's main from, and the keyring that it names for that, if it does."""
    here = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    wanted = here.get("VERSION_CODENAME", "").strip('"')
    found = _apt("apt-get", "indextargets", "--format", "$(RELEASE)|$(COMPONENT)|$(REPO_URI)|$(SIGNED_BY)")
    for line in found.splitlines():
        release, component, uri, keyring = line.split("|")
        if release == wanted and component == "main":
            return uri, keyring if keyring.startswith("/") else ""
    raise RuntimeError(f"this machine's apt has no source of {wanted} main, so no chroot can be made")


def _apt(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def _run(*argv: str, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv[:2])} ... failed: {done.stdout.decode(errors='replace')[-4000:]}")
