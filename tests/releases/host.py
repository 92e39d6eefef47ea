"""A Debian version in, a host of it that runs cells of the matrix out."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.chroots.host import DebianHost
from tests.chroots.runc import without_controllers
from tests.clients.support.lab import environment
from tests.releases.cells import BUILT_THERE, RELEASES, TRIED, Cell
from tests.releases.packages import ROOT, packages

NEEDED = (
    *("gcc", "libc6-dev", "libnftables1", "nftables", "python3", "git", "iputils-ping", "procps"),
    *("busybox-static", "conntrack", "containerd", "containernetworking-plugins", "iptables", "kmod", "runc", "strace"),
)
"""Debian's packages that the tests of the cells use; packaging/debian-packages.txt says what for."""
_HOME, _PACKAGES = "/srv/calico-rkt", "/srv/packages"
_ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}
_COUNTS = re.compile(r"^(?:=+ )?((?:\d+ (?:passed|failed|errors?|skipped|deselected|xfailed)(?:, )?)+)", re.MULTILINE)


class SupportHost:
    """A host of a Debian release with this repository in it; close() ends it."""

    def __init__(self, version: str, name: str) -> None:
        self._host = DebianHost(name, RELEASES[version], *NEEDED)
        try:
            self.python = self._out("python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
            self.nft = self._out("nft", "--version").split()[1].lstrip("v")
            without_controllers(self._host)
            self._unpack(ROOT, _HOME, _tracked())
            self._unpack(packages(self.python), _PACKAGES, ["."])
            self._host.put(ROOT / "dist" / "calico", f"{_HOME}/build/brought")
            # Not by PYTHONPATH: some tests start a Python with an environment of their own.
            found = f"{_HOME}/src\n{_PACKAGES}\n"
            self._host.write(f"/usr/local/lib/python{self.python}/dist-packages/tests.pth", found)
            self._host.out("sh", "-c", f"cd {_HOME} && python3 packaging/build.py")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._host.close()

    def run(self, cell: Cell, log: Path, tell: Callable[[str], None]) -> tuple[bool, str]:
        """Whether all of a cell held, and pytest's count in words; its output goes to log, each line to tell, too."""
        binary = "dist/calico" if cell.tried in BUILT_THERE else "build/brought"
        env = environment({**_ENVIRONMENT, "CALICO_BINARY": f"{_HOME}/{binary}"})
        options = ("-p", "no:cacheprovider", "-q", "-n", "2", "--dist", "worksteal", *TRIED[cell.tried])
        argv = self._host.command("python3", "-m", "pytest", *options, cwd=_HOME)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as stream:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
            with subprocess.Popen(argv, env=env, text=True, errors="replace", **pipes) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    stream.write(line)
                    tell(line.strip())
        counted = _COUNTS.findall(log.read_text(encoding="utf-8"))
        return process.returncode == 0, counted[-1].strip(
            ", "
        ) if counted else f"pytest ended with {process.returncode}"

    def _out(self, *argv: str) -> str:
        return self._host.out(*argv).strip()

    def _unpack(self, source: Path, target: str, names: list[str]) -> None:
        """Files of this machine to the host: a tar through a pipe, links as they are."""
        listed = "\0".join(names).encode()
        pack = ["tar", "-C", str(source), "--null", "--no-recursion", "-T", "-", "-c"]
        pack = pack if names != ["."] else ["tar", "-C", str(source), "--exclude=__pycache__", "-c", "."]
        tar = subprocess.run(pack, input=listed, capture_output=True, check=True).stdout
        self._host.path(target).mkdir(parents=True)
        done = self._host.run("tar", "-x", "--no-same-owner", "-C", target, stdin=tar)
        assert done.returncode == 0, done.stderr.decode()


def _tracked() -> list[str]:
    """The repository's files as git lists them, new ones included, those that git ignores not."""
    listing = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, capture_output=True, check=True).stdout.decode().split("\0")
    return [n for n in names if n and (ROOT / n).exists()]
