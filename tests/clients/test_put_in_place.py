"""What the plugin puts onto a host: folders whatever the umask, and itself, beside others of its name."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.support.agent import Agent
from tests.clients.support.caller import Caller, addresses
from tests.clients.support.lab import PLUGINS, Lab, conf, environment, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"))
TOOL = f"{PLUGINS}/calico"
DEBIAN = Path(__file__).parents[2] / "packaging" / "debian"


def tool(lab: Lab, *argv: str, cwd: str = "/") -> subprocess.CompletedProcess[bytes]:
    done = lab.run(TOOL, *argv, env=environment(), cwd=cwd)
    assert b"Traceback" not in done.stdout + done.stderr, done
    return done


@pytest.mark.parametrize("umask", ["0000", "0002", "0077", "0777"])
def test_each_folder_and_file_has_its_own_mode_whatever_the_runtime_s_umask(bare_lab: Lab, umask: str) -> None:
    lab = bare_lab
    lab.netns("c1")
    env = environment({"CNI_COMMAND": "ADD", "CNI_PATH": PLUGINS, "CNI_IFNAME": "eth0", "CNI_CONTAINERID": "c1"})
    env["CNI_NETNS"] = "/var/run/netns/c1"
    done = lab.run("sh", "-c", f"umask {umask}; exec {TOOL}", stdin=json.dumps(WEB).encode(), env=env)
    assert done.returncode == 0, done
    listed = lab.out("find", "/run/calico-rkt", "/var/lib/calico-rkt", "/var/log/calico-rkt", "-printf", "%m %y %p\n")
    modes = {path: (kind, int(mode, 8)) for mode, kind, path in (line.split() for line in listed.splitlines())}
    for path, (kind, mode) in modes.items():
        assert not mode & 0o022, (path, oct(mode))
        private = path.startswith("/run/")
        assert not (private and mode & 0o077), (path, oct(mode))
        if path.startswith("/var/lib/calico-rkt") and "lock" not in path:
            assert mode == (0o755 if kind == "d" else 0o644), (path, oct(mode))
    cni = Caller(lab)
    assert addresses(cni.add(WEB, netns="/var/run/netns/c1")) == ["10.1.0.1"], "and is used by the next call"
    cni.delete(WEB, netns="/var/run/netns/c1")
    assert lab.left() == {}


def test_another_program_s_calico_is_overwritten_only_when_told(bare_lab: Lab) -> None:
    lab = bare_lab
    foreign = lab.write("/opt/other/calico", "#!/bin/sh\necho calico\n")
    done = tool(lab, "install", "--to", "/opt/other")
    assert done.returncode == 2
    assert b"/opt/other/calico is there and is not this program" in done.stderr
    assert b"--replace" in done.stderr
    assert lab.path(foreign).read_text() == "#!/bin/sh\necho calico\n"
    assert tool(lab, "uninstall", "--from", "/opt/other").returncode == 2
    assert lab.path(foreign).exists()
    assert tool(lab, "install", "--to", "/opt/other", "--replace").returncode == 0
    assert lab.path(foreign).read_bytes() == lab.path(TOOL).read_bytes()
    assert tool(lab, "install", "--to", "/opt/other").returncode == 0, "ours is replaced without a word"
    assert tool(lab, "uninstall", "--from", "/opt/other").stdout == b"removed /opt/other/calico\n"
    assert not lab.path(foreign).exists()
    assert tool(lab, "uninstall", "--from", "/opt/other").stdout == b"there is no /opt/other/calico\n"


def test_a_link_of_that_name_that_leads_nowhere_is_somebody_s(bare_lab: Lab) -> None:
    bare_lab.out("mkdir", "-p", "/opt/other")
    bare_lab.out("ln", "-s", "/opt/late/calico", "/opt/other/calico")
    done = tool(bare_lab, "install", "--to", "/opt/other")
    assert (done.returncode, b"leads nowhere" in done.stderr) == (2, True)
    assert bare_lab.out("readlink", "/opt/other/calico") == "/opt/late/calico\n"


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_a_word_that_is_no_runtime_and_no_folder_is_refused(bare_lab: Lab, command: str) -> None:
    bare_lab.out("mkdir", "-p", "/run/work/there")
    done = tool(bare_lab, command, "--to", "nosuchword", cwd="/run/work")
    assert done.returncode == 2
    assert b"'nosuchword' is neither rkt nor cni nor a folder" in done.stderr
    assert not bare_lab.path("/run/work/nosuchword").exists()
    assert tool(bare_lab, command, "--to", "", cwd="/run/work").returncode == 2, "an empty variable of a script"
    if command == "install":
        assert tool(bare_lab, command, "--to", "there", cwd="/run/work").returncode == 0
        assert tool(bare_lab, command, "--to", "./made", cwd="/run/work").returncode == 0
        assert bare_lab.path("/run/work/made/calico").stat().st_mode & 0o777 == 0o755


def test_it_stays_while_containers_are_attached_unless_told(bare_lab: Lab) -> None:
    cni = Caller(bare_lab)
    cni.add(WEB, netns=bare_lab.netns("c1"))
    done = tool(bare_lab, "uninstall")
    assert done.returncode == 2
    assert b"1 container is attached" in done.stderr
    cni.delete(WEB, netns="/var/run/netns/c1")
    assert tool(bare_lab, "uninstall").returncode == 2, "nobody to ask"
    assert tool(bare_lab, "uninstall", "--dry-run").returncode == 1
    assert bare_lab.path(TOOL).exists()
    assert tool(bare_lab, "uninstall", "--yes").stdout.endswith(b"\nremoved /opt/cni/bin/calico\n")
    assert not bare_lab.path(TOOL).exists()


def test_the_agent_s_folder_is_its_own_whatever_the_umask(bare_lab: Lab) -> None:
    agent = Agent(bare_lab).start()
    assert agent.is_running()
    assert bare_lab.path("/run/calico-rkt").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("link", "to"), [("/opt/cni/bin", "/usr/lib/cni"), ("/usr/lib/cni", "/opt/cni/bin")])
def test_the_package_leaves_its_plugin_where_both_folders_of_plugins_are_one(
    bare_lab: Lab, binary: Path, link: str, to: str
) -> None:
    lab, postinst = bare_lab, "/run/lab/postinst"
    own = "lowerdir=/usr/lib,upperdir=/run/lab/upper,workdir=/run/lab/work"
    lab.out("sh", "-ec", f"mkdir /run/lab/upper /run/lab/work; mount -t overlay -o {own} overlay /usr/lib")
    lab.out("sh", "-ec", f"rm -r /opt/cni/bin /usr/lib/cni; mkdir {to}; ln -s {to} {link}")
    shutil.copy(binary, lab.path(to, "calico"))
    shutil.copy(DEBIAN / "postinst", lab.path(postinst))
    lab.out("sh", postinst, "configure")
    assert lab.path(to, "calico").read_bytes() == binary.read_bytes()
