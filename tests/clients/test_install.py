"""`calico-rkt install --root` and uninstall: all of it, or as if nothing had been begun; nothing that is another's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from calico_rkt.plugin.install.manifest import MANIFEST, changed
from calico_rkt.plugin.install.parts import PARTS, PLUGIN, parts
from calico_rkt.plugin.install.payload import checksum

pytestmark = pytest.mark.clients

COUNT = sum(part.group != "rkt" for part in PARTS)
"""Parts of a folder's install."""
STOCK = b"#!/bin/sh\necho calico of another\n"


class Installer:
    """dist/calico with --root of a folder."""

    def __init__(self, binary: Path, root: Path) -> None:
        self.binary, self.root = binary, root
        root.mkdir()

    def __call__(
        self, command: str, *more: str, under: tuple[str, ...] = (), root: str = ""
    ) -> subprocess.CompletedProcess[str]:
        argv = [*under, str(self.binary), command, "--root", root or str(self.root), *more]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stdout + done.stderr, done
        return done

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def tree(self) -> dict[str, bytes | str]:
        """Each file's bytes and each link's target."""
        found = (p for p in sorted(self.root.rglob("*")) if p.is_symlink() or not p.is_dir())
        return {
            str(p.relative_to(self.root)): str(p.readlink()) if p.is_symlink() else summed(p.read_bytes())
            for p in found
        }


def summed(data: bytes) -> bytes | str:
    """What stands for a file: its bytes, but where pytest would show a difference of megabytes."""
    return data if len(data) < 100_000 else checksum(data)


@pytest.fixture
def host(binary: Path, tmp_path: Path) -> Installer:
    return Installer(binary, tmp_path / "host")


def test_each_part_is_put_and_all_are_taken_back(host: Installer) -> None:
    done = host("install", "--yes", "--with", "rkt")
    assert done.returncode == 0, done
    for part in parts("/usr/local"):
        assert f" {part.path} " in done.stdout, "what is done is shown"
        place = host.at(part.path)
        assert (str(place.readlink()) == PLUGIN) if part.link else (place.stat().st_size > 0), part
    assert checksum(host.at(PLUGIN).read_bytes()) == checksum(host.binary.read_bytes())
    assert host.at(PLUGIN).stat().st_mode & 0o7777 == 0o755
    assert changed(str(host.root)) == []
    again = host("install", "--with", "rkt")
    assert (again.returncode, "is installed as it should be" in again.stdout) == (0, True), again
    done = host("uninstall", "--yes")
    assert (done.returncode, list(host.root.iterdir())) == (0, []), done
    assert host("uninstall").stdout.startswith("nothing is installed")


def test_of_many_at_once_each_waits_for_the_one_before(host: Installer) -> None:
    """Two of them took what the other had begun for their own, and took back all of it: nothing was installed."""
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda _: host("install", "--yes"), range(4)))
        assert [d.returncode for d in done] == [0] * 4, done
        assert sum("installed calico-rkt" in d.stdout for d in done) == 1
        assert sum("is installed as it should be" in d.stdout for d in done) == 3
        assert (changed(str(host.root)), len(host.tree())) == ([], COUNT + 1)
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda _: host("uninstall", "--yes"), range(4)))
        assert [d.returncode for d in done] == [0] * 4, done
        assert list(host.root.iterdir()) == []


def test_beside_an_uninstall_all_of_it_is_there_or_nothing(host: Installer) -> None:
    for _ in range(3):
        host("install", "--yes")
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda c: host(c, "--yes"), ("uninstall", "install", "uninstall", "install")))
        assert [d.returncode for d in done] == [0] * 4, done
        assert (changed(str(host.root)), len(host.tree())) in (([], COUNT + 1), ([], 0))


def test_what_was_there_before_stays_at_the_end(host: Installer) -> None:
    host.at("/etc/calico-rkt/profiles").mkdir(parents=True)
    host.at("/etc/calico-rkt/profiles/web.yaml").write_text("network: web\n")
    before = host.tree()
    assert host("install", "--yes").returncode == 0
    assert host("uninstall", "--yes").returncode == 0
    assert host.tree() == before


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_without_a_yes_nothing_happens(host: Installer, command: str) -> None:
    if command == "uninstall":
        host("install", "--yes")
    before = host.tree()
    for more in ((), ("--dry-run",)):
        done = host(command, *more)
        assert (done.returncode, PLUGIN in done.stdout) == (1 if more else 2, True), done
        assert ("no terminal to ask on" in done.stderr) == (not more)
    assert host.tree() == before


def test_a_prefix_below_usr_is_a_package_s(host: Installer) -> None:
    assert host("install", "--yes", "--prefix", "/usr", "--without", "opt").returncode == 0
    there = set(host.tree())
    assert {"usr/bin/calico-rkt", "usr/bin/compile-profile", "lib/systemd/system/calico-rkt-agent.socket"} <= there
    assert not [path for path in there if path.startswith(("usr/local", "opt"))]


def test_another_prefix_at_the_next_install_takes_the_first_one_s_files_away(host: Installer) -> None:
    host("install", "--yes")
    done = host("install", "--yes", "--prefix", "/opt/tools", "--without", "schema")
    assert "remove   /usr/local/bin/calico-rkt" in done.stdout, done
    assert not [path for path in host.tree() if "usr/local" in path or "schema" in path]
    assert host("uninstall", "--yes").returncode == 0
    assert host.tree() == {}


@pytest.mark.parametrize("path", [PLUGIN, "/opt/cni/bin/calico", "/usr/local/bin/calico-rkt"])
def test_another_s_file_forbids_all_of_it(host: Installer, path: str) -> None:
    host.at(path).parent.mkdir(parents=True)
    host.at(path).write_bytes(STOCK)
    before = host.tree()
    done = host("install", "--yes")
    assert (done.returncode, f"{host.at(path)} is there and is not of this program" in done.stderr) == (2, True), done
    assert host.tree() == before
    assert host("install", "--yes", "--replace").returncode == 0
    assert path == PLUGIN or str(host.at(path).readlink()) == PLUGIN
    assert checksum(host.at(PLUGIN).read_bytes()) == checksum(host.binary.read_bytes())


def test_a_copy_that_an_older_install_put_becomes_a_link(host: Installer) -> None:
    host.at("/opt/cni/bin").mkdir(parents=True)
    shutil.copy(host.binary, host.at("/opt/cni/bin/calico"))
    with host.at("/opt/cni/bin/calico").open("ab") as older:
        older.write(b"\0")
    done = host("install", "--yes")
    assert (done.returncode, "replace  /opt/cni/bin/calico -> /usr/lib/cni/calico" in done.stdout) == (0, True), done
    assert host.at("/opt/cni/bin/calico").is_symlink()
    assert host("install", "--yes", "--copy").returncode == 0
    assert checksum(host.at("/opt/cni/bin/calico").read_bytes()) == checksum(host.binary.read_bytes())


def test_stock_calico_written_through_our_link_is_named_and_left(host: Installer) -> None:
    host("install", "--yes")
    host.at(PLUGIN).write_bytes(STOCK)
    assert changed(str(host.root)) == [(PLUGIN, "was changed since it was installed")]
    done = host("install", "--yes")
    assert (done.returncode, "was changed since it was installed" in done.stderr) == (2, True), done
    done = host("uninstall", "--yes")
    assert done.returncode == 1
    assert f"{PLUGIN} is left: it was changed since it was installed; --changed takes it, too" in done.stderr
    assert set(host.tree()) == {PLUGIN[1:], MANIFEST[1:]}
    assert host.at(PLUGIN).read_bytes() == STOCK
    assert host("uninstall", "--yes", "--changed").returncode == 0
    assert host.tree() == {}


def test_what_people_edit_stays(host: Installer) -> None:
    host("install", "--yes")
    rotation = host.at("/etc/logrotate.d/calico-rkt")
    rotation.write_text("# daily\n")
    host.at("/usr/local/bin/compile-profile").unlink()
    done = host("install", "--yes")
    assert (done.returncode, "what is there stays" in done.stdout) == (0, True), done
    assert rotation.read_text() == "# daily\n"
    assert host.at("/usr/local/bin/compile-profile").is_symlink()
    done = host("uninstall", "--yes")
    assert (done.returncode, "/etc/logrotate.d/calico-rkt is left" in done.stderr) == (1, True), done
    assert rotation.read_text() == "# daily\n"


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
@pytest.mark.parametrize("call", [1, 2, 7, COUNT, COUNT + 1, COUNT + 2])
def test_ended_half_way_it_is_undone_or_known(host: Installer, tmp_path: Path, call: int, signal: str) -> None:
    """Each file is renamed into its place, the manifest first and last: the call-th of these never returns."""
    trace = ("strace", "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=rename")
    done = host("install", "--yes", under=(*trace, "-e", f"inject=rename:signal={signal}:when={call}"))
    if signal == "TERM" and call <= COUNT:
        assert (done.returncode, "ended by signal SIGTERM" in done.stderr) == (2, True), done
        assert list(host.root.iterdir()) == []
    elif signal == "TERM":
        assert done.returncode == 0, done
    else:
        assert done.returncode == -9, done
        assert host("uninstall", "--yes").returncode == 0
        assert host.tree() == {}
        assert list(host.root.iterdir()) == ([] if call > 1 else [host.root / "var"]), "a folder, without a word of it"
    assert host("install", "--yes").returncode == 0
    assert changed(str(host.root)) == []
    assert host("uninstall", "--yes").returncode == 0
    assert host.tree() == {}


def test_a_full_disk_leaves_what_was_there(host: Installer, tmp_path: Path) -> None:
    host("install", "--yes")
    host.at("/usr/local/bin/calico-rkt").unlink()
    before = host.tree()
    trace = ("strace", "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=symlink,symlinkat")
    fault = (*trace, "-e", "inject=symlink,symlinkat:error=ENOSPC")
    done = host("install", "--yes", "--prefix", "/opt/tools", under=fault)
    assert (done.returncode, "No space left on device" in done.stderr) == (2, True), done
    assert host.tree() == before


WRONG = {
    "prefix is no absolute path": (("--prefix", "usr"), "is no absolute path"),
    "prefix climbs": (("--prefix", "/usr/../../etc"), "is no absolute path"),
    "prefix is all": (("--prefix", "/"), "is no absolute path"),
    "an unknown part": (("--without", "snap"), "invalid choice: 'snap'"),
    "with and without": (("--with", "man", "--without", "man"), "name the same part: man"),
    "one folder and a prefix": (("--to", "cni", "--prefix", "/usr"), "has no use for --root, --prefix"),
    "an abbreviation": (("--repl",), "unrecognized arguments: --repl"),
    "an empty folder": (("--to", ""), "--to is given nothing"),
    "a word too many": (("everything",), "unrecognized arguments: everything"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_words_change_nothing(host: Installer, name: str) -> None:
    arguments, words = WRONG[name]
    done = host("install", "--yes", *arguments)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert words in done.stderr
    assert list(host.root.iterdir()) == []


def test_a_root_that_is_no_folder_is_refused(host: Installer) -> None:
    done = host("install", "--yes", root="/nowhere/at/all")
    assert (done.returncode, done.stdout, "is no folder" in done.stderr) == (2, "", True), done
    assert not Path("/nowhere").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a":' * 9999, '{"version": "1", "entries": [{}], "folders": []}'])
@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_a_damaged_manifest_is_named(host: Installer, command: str, text: str) -> None:
    host.at(MANIFEST).parent.mkdir(parents=True)
    host.at(MANIFEST).write_text(text)
    done = host(command, "--yes")
    assert (done.returncode, "installed.json is not what an install wrote" in done.stderr) == (2, True), done
    assert set(host.tree()) == {MANIFEST[1:]}


def test_a_root_whose_folders_lead_out_of_it_is_refused(host: Installer, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    host.at("/usr").symlink_to(outside)
    done = host("install", "--yes")
    assert (done.returncode, "leads out of" in done.stderr) == (2, True), done
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(("link", "target"), [("opt/cni/bin", "usr/lib/cni"), ("usr/lib/cni", "opt/cni/bin")])
@pytest.mark.parametrize("copy", [(), ("--copy",)])
def test_where_one_folder_of_plugins_is_a_link_to_another_the_plugin_is_no_link_to_itself(
    host: Installer, link: str, target: str, copy: tuple[str, ...]
) -> None:
    host.at(target).mkdir(parents=True)
    host.at(link).parent.mkdir(parents=True)
    host.at(link).symlink_to(os.path.relpath(host.at(target), host.at(link).parent))
    for again in (False, True):
        done = host("install", "--yes", *copy)
        assert (done.returncode, "is installed as it should be" in done.stdout) == (0, again), done
        assert not host.at(PLUGIN).is_symlink()
        assert host.at("/opt/cni/bin/calico").read_bytes() == host.binary.read_bytes()
        assert changed(str(host.root)) == []
    assert host("uninstall", "--yes").returncode == 0
    assert host.tree() == {link: os.path.relpath(host.at(target), host.at(link).parent)}


def test_a_folder_that_becomes_a_link_after_an_install_costs_no_plugin(host: Installer) -> None:
    host("install", "--yes", "--copy")
    shutil.rmtree(host.at("/opt/cni/bin"))
    host.at("/opt/cni/bin").symlink_to("../../usr/lib/cni")
    host.at("/opt/tools").symlink_to("../usr/local")
    for more in ((), ("--prefix", "/opt/tools")):
        done = host("install", "--yes", *more)
        assert done.returncode == 0, done
        for path in (PLUGIN, "/opt/cni/bin/calico"):
            assert host.at(path).read_bytes() == host.binary.read_bytes()
        assert str(host.at("/usr/local/bin/calico-rkt").readlink()) == PLUGIN
        assert host.at("/usr/local/share/man/man1/calico-rkt.1").is_file()


@pytest.mark.parametrize("mode", [0o644, 0o777])
def test_a_plugin_that_nobody_can_start_or_anybody_may_write_is_put_anew(host: Installer, mode: int) -> None:
    host("install", "--yes")
    host.at(PLUGIN).chmod(mode)
    done = host("install", "--yes")
    assert (done.returncode, f"replace  {PLUGIN}" in done.stdout) == (0, True), done
    assert host.at(PLUGIN).stat().st_mode & 0o7777 == 0o755


def test_an_uninstall_takes_nothing_outside_of_its_root(host: Installer, tmp_path: Path) -> None:
    """A folder of an image that has become a link to where this host has its own."""
    host("install", "--yes")
    outside = tmp_path / "outside"
    shutil.move(host.at("/usr/lib"), outside)
    host.at("/usr/lib").symlink_to(outside)
    before = host.tree(), sorted(outside.rglob("*"))
    done = host("uninstall", "--yes")
    assert (done.returncode, "leads out of" in done.stderr) == (2, True), done
    assert (host.tree(), sorted(outside.rglob("*"))) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts: root")
def test_an_uninstall_that_can_not_take_all_takes_nothing(host: Installer) -> None:
    host("install", "--yes")
    before = host.tree()
    opt = host.at("/opt")
    script = f'mount --bind "{opt}" "{opt}" && mount -o remount,ro,bind "{opt}" && exec "$@"'
    under = ("unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh")
    done = host("uninstall", "--yes", under=under)
    assert (done.returncode, f"{opt}/cni/bin can not be written" in done.stderr) == (2, True), done
    assert host.tree() == before
    assert host("uninstall", "--yes").returncode == 0


def test_a_file_where_a_folder_has_to_be_is_named(host: Installer) -> None:
    host.at("/opt").write_text("")
    done = host("install", "--yes")
    assert (done.returncode, f"{host.root}/opt is no folder" in done.stderr) == (2, True), done
    assert set(host.tree()) == {"opt"}


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes somebody else: root")
def test_without_the_right_to_it_nothing_is_begun(host: Installer) -> None:
    somebody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    done = host("install", "--yes", under=(*somebody, "--inh-caps=-all"))
    assert (done.returncode, "is no folder" in done.stderr) == (2, True), "pytest's folders are for their user"
    reads = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    done = host("install", "--yes", under=(*somebody, *reads))
    assert (done.returncode, "can not be written: this is for root" in done.stderr) == (2, True), done
    assert list(host.root.iterdir()) == []


def test_the_table_s_sources_are_in_the_file(host: Installer) -> None:
    assert "not in this build" not in host("install", "--dry-run", "--with", "rkt").stdout
    assert len({p.path for p in PARTS}) == len(PARTS)
    kept = json.loads((host("install", "--yes"), host.at(MANIFEST).read_text())[1])
    assert {e["path"] for e in kept["entries"]} == {p.path for p in parts("/usr/local") if p.group != "rkt"}
