"""The Debian package's life on a Debian 12 that serves podman: installed, upgraded under traffic, removed, purged."""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calico_rkt.plugin.install.payload import checksum
from tests.chroots.host import DebianHost
from tests.clients.support.caller import Caller
from tests.clients.support.debian_podman import ENGINE, ROOTFS, STORAGE
from tests.clients.support.lab import IDLE, SERVE, conf, fetching, pool, reached, until
from tests.patience import slowness

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PACKAGES = (
    *("podman", "runc", "containernetworking-plugins", "iptables", "nftables"),
    *("python3", "libnftables1", "busybox-static"),
)
PLUGIN = "/usr/lib/cni/calico"
WEB = conf("web", pool("10.1.0.0/24"))
_CONFIG = """[containers]
pids_limit = 0
[network]
network_backend = "cni"
"""
_SUPERVISED = "while [ ! -e /run/enough ]; do /usr/lib/cni/calico agent; sleep 0.1; done"


@pytest.fixture(scope="session")
def packages(binary: Path, before: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The package of the release before, made by today's packaging, today's, and one that comes after it."""
    folder = tmp_path_factory.mktemp("packages")
    for version, plugin in (("0.0.9", before), ("9.9.9", binary), ("9.9.10", binary)):
        made = (sys.executable, "packaging/deb.py", "--version", version, "--plugin", str(plugin), "--to", str(folder))
        subprocess.run(made, cwd=ROOT, check=True, capture_output=True)
    return tuple(next(folder.glob(f"*_{version}_*.deb")) for version in ("0.0.9", "9.9.9", "9.9.10"))


class Host:
    """A Debian 12 with podman on CNI, and what the package's life needs."""

    def __init__(self, made: DebianHost) -> None:
        self.made = made
        made.write("/etc/containers/containers.conf", _CONFIG + ENGINE)
        made.write("/etc/containers/storage.conf", STORAGE)
        made.make_rootfs(ROOTFS)
        for number, name in ((1, "web"), (2, "back")):
            plugins = [{"type": "calico", "ipam": {"type": "host-local", "subnet": f"10.9{number}.0.0/24"}}]
            listed = {"cniVersion": "1.0.0", "name": name, "plugins": plugins}
            made.write(f"/etc/cni/net.d/10-{name}.conflist", json.dumps(listed))

    def apt(self, *words: str) -> str:
        """What apt and the package's scripts say of what has to succeed."""
        done = self.made.run("apt-get", "-y", "--no-install-recommends", *words)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
        return done.stdout.decode() + done.stderr.decode()

    def install(self, package: Path) -> str:
        return self.apt("install", self.made.put(package, f"/tmp/{package.name}", 0o644))

    def run(self, network: str, name: str, *argv: str) -> str:
        """Start a container; its address."""
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
        made = ("podman", "run", "-d", "--runtime", "runc", *limits, "--network", network, "--name", name)
        self.made.out(*made, "--rootfs", ROOTFS, *argv)
        shown = self.made.out("podman", "exec", name, "ip", "-4", "-o", "address", "show", "dev", "eth0")
        return shown.split()[3].partition("/")[0]

    def reaches(self, name: str, address: str, wait: int = 30) -> bool:
        return reached(self.made.run("podman", "exec", name, *fetching(address, 8080, wait)))

    def files(self) -> set[str]:
        """Paths of the whole host that have our name, but for what the administrator wrote and the packages' logs."""
        skip = "-path /proc -prune -o -path /sys -prune -o -path /tmp -prune -o -path /srv -prune -o -path /root -prune"
        return set(self.made.out("sh", "-c", f"find / {skip} -o -name '*calico*' -print").splitlines())


@pytest.fixture
def host(debian: Callable[..., DebianHost]) -> Host:
    return Host(debian("bookworm", *PACKAGES))


@contextmanager
def calls_meanwhile(host: DebianHost) -> Iterator[list[str]]:
    """ADD, CHECK and DEL of one container over and over, while the block runs: each line says how one ended."""
    said: list[str] = []
    over = threading.Event()
    netns, cni = f"/var/run/netns/{secrets.token_hex(4)}", Caller(host)
    host.netns(Path(netns).name)

    def calls() -> None:
        while not over.is_set():
            for verb in ("ADD", "DEL"):
                reply = cni(verb, WEB, Path(netns).name, netns)
                while reply.status and not over.is_set():
                    said.append(f"{verb} {reply.status}: {reply}")
                    reply = cni(verb, WEB, Path(netns).name, netns)
                said.append(f"{verb} {reply.status}")

    thread = threading.Thread(target=calls)
    thread.start()
    try:
        until(lambda: len(said) >= 2, "calls are answered")
        yield said
        seen = len(said)
        until(lambda: len(said) >= seen + 4, "calls are answered afterwards")
    finally:
        over.set()
        thread.join()


def test_installed_upgraded_under_traffic_removed_and_purged(host: Host, packages: tuple[Path, ...]) -> None:
    made, (old, new, newer) = host.made, packages
    untouched = host.files()
    host.install(old)
    assert made.out("readlink", "/opt/cni/bin/calico") == f"{PLUGIN}\n"
    made.start("sh", "-c", _SUPERVISED)
    until(lambda: made.path("/run/calico-rkt/agent.sock").exists(), "the agent of before listens")
    server, other = host.run("web", "w", *SERVE), host.run("back", "b", *IDLE)
    host.run("web", "near", *IDLE)
    assert host.reaches("near", server)
    assert not host.reaches("b", server, wait=int(2 * slowness()))

    with calls_meanwhile(made) as said:
        host.install(new)
    # A process of that release reads its modules by its path, so one that is at work may meet the new file (mended
    # since: docs/decisions/062); its runtime calls again.
    assert [line for line in said if not line.endswith(" 0") and "ZipImportError" not in line] == []
    with calls_meanwhile(made) as said:
        host.install(newer)
    assert [line for line in said if not line.endswith(" 0")] == []
    assert made.out("calico-rkt", "--version").startswith("calico-rkt ")
    assert "usage: compile-profile" in made.out("compile-profile", "--help")
    assert host.reaches("near", server), "no endpoint was lost"
    assert not host.reaches("b", server, wait=int(2 * slowness()))
    assert not reached(made.run("busybox", *fetching(server, 8080, 1), inside="outside"))
    ask = ("calico-rkt", "status", "--format", "json")  # 1 until the new agent mended what that release made otherwise
    until(lambda: made.run(*ask).returncode == 0, "the host is as the new release makes it")
    status = json.loads(made.out(*ask))
    assert {n["network"]: n["endpoints"] for n in status["networks"]} == {"web": 2, "back": 1}, status
    assert host.run("back", "b2", *IDLE) != other

    told = host.apt("remove", "calico-rkt")
    assert "4 containers are attached" in told, told
    assert host.reaches("near", server), "what is attached goes on"
    assert not host.reaches("b", server, wait=int(2 * slowness()))
    assert not made.path("/opt/cni/bin").exists()
    host.install(newer)
    made.out("podman", "rm", "-f", "-t", "0", "w", "near", "b", "b2")
    assert "attached" not in host.apt("remove", "calico-rkt")
    made.write("/run/enough", "")
    assert made.path("/var/lib/calico-rkt").exists(), "published profiles stay until the purge"
    host.apt("purge", "calico-rkt")
    until(lambda: host.files() == untouched, f"nothing is left: {host.files() - untouched}")
    assert "calico" not in made.out("nft", "list", "tables")
    assert [link for link in made.links() if link.startswith("crk")] == []


def test_it_takes_nobody_s_place(host: Host, packages: tuple[Path, ...], binary: Path) -> None:
    made = host.made
    package = made.put(packages[1], f"/tmp/{packages[1].name}", 0o644)
    stock = "#!/bin/sh\necho calico of another\n"
    made.write(PLUGIN, stock)
    refused = made.run("dpkg", "-i", package)
    assert (refused.returncode, b"is another program: move it away first" in refused.stderr) == (1, True), refused
    assert made.path(PLUGIN).read_text() == stock
    made.path(PLUGIN).unlink()
    made.write("/opt/cni/bin/calico", stock)
    done = made.run("dpkg", "-i", package)
    assert (done.returncode, b"/opt/cni/bin/calico is another program and stays" in done.stderr) == (0, True), done
    host.apt("purge", "calico-rkt")
    assert made.path("/opt/cni/bin/calico").read_text() == stock
    made.path("/opt/cni/bin/calico").unlink()
    made.write("/etc/calico-rkt/profiles/web.yaml", "network: web\n")

    made.put(binary, "/root/calico")
    assert "systemd units (units): no systemctl here" in made.out("/root/calico", "install", "--yes")
    refused = made.run("dpkg", "-i", package)
    assert (refused.returncode, b"calico-rkt uninstall --force" in refused.stderr) == (1, True), refused
    made.out("calico-rkt", "uninstall", "--force", "--yes")
    made.out("/root/calico", "install", "--to", "cni")
    done = made.run("dpkg", "-i", package)
    assert (done.returncode, b"is a link to the package's now" in done.stdout) == (0, True), done
    refused = made.run("/root/calico", "install", "--yes")
    assert (refused.returncode, b"is of the package calico-rkt" in refused.stderr) == (2, True), refused
    assert "what somebody wrote into /etc/calico-rkt stays" in host.apt("purge", "calico-rkt")
    assert made.path("/etc/calico-rkt/profiles/web.yaml").exists()


def test_lintian_has_nothing_to_say(packages: tuple[Path, ...], tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path)}  # it leaves a file behind
    command = ["lintian", "--allow-root", str(packages[1])]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done


def test_the_package_has_the_bill_of_materials_of_its_plugin(packages: tuple[Path, ...], binary: Path) -> None:
    shown = ["dpkg-deb", "--fsys-tarfile", str(packages[1])]
    files = subprocess.run(shown, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(files)) as inside:
        found = {m.name: inside.extractfile(m).read() for m in inside if m.name.endswith("sbom.cdx.json")}
    with zipfile.ZipFile(binary) as plugin:
        assert found == {"./usr/share/doc/calico-rkt/sbom.cdx.json": plugin.read("sbom.cdx.json")}


def test_the_same_tree_makes_the_same_package(packages: tuple[Path, ...], binary: Path, tmp_path: Path) -> None:
    made = (sys.executable, "packaging/deb.py", "--version", "9.9.9", "--plugin", str(binary), "--to", str(tmp_path))
    subprocess.run(made, cwd=ROOT, check=True, capture_output=True)
    assert checksum((tmp_path / packages[1].name).read_bytes()) == checksum(packages[1].read_bytes())
