"""A lab and a crictl in, pods by containerd's CRI out: what a kubelet would ask for, without one."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.clients.support.lab import PATIENCE, PLUGINS, SERVE, Lab, environment, until
from tests.clients.support.oci_image import image

SECOND = "/etc/cni/back.d"
"""The folder of confs of the runtime handler `back`."""
_FOLDER = "/run/lab/cri"
_SOCKET = f"{_FOLDER}/containerd.sock"
_PAUSE, _BOX = "test.example/pause:1", "test.example/box:1"
_CRI = 'plugins."io.containerd.grpc.v1.cri"'
_CONFIG = f"""version = 2
root = "{_FOLDER}/root"
state = "{_FOLDER}/state"
[grpc]
address = "{_SOCKET}"
[ttrpc]
address = "{_SOCKET}.ttrpc"
[{_CRI}]
sandbox_image = "{_PAUSE}"
restrict_oom_score_adj = true
disable_apparmor = true
[{_CRI}.cni]
bin_dir = "{PLUGINS}"
conf_dir = "/etc/cni/net.d"
[{_CRI}.containerd]
snapshotter = "native"
[{_CRI}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{_CRI}.containerd.runtimes.back]
runtime_type = "io.containerd.runc.v2"
cni_conf_dir = "{SECOND}"
"""
_PAUSING = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"


class Cri:
    """containerd's CRI and its pods, each with one container that serves a page at two ports."""

    def __init__(self, lab: Lab, program: Path) -> None:
        self._lab = lab
        self._crictl = f"{_FOLDER}/crictl"
        shutil.copy(program, lab.path(self._crictl))

    def __call__(self, *argv: str) -> subprocess.CompletedProcess[bytes]:
        endpoint = f"unix://{_SOCKET}"
        return self._lab.run(self._crictl, "-r", endpoint, "-i", endpoint, "-t", "60s", *argv, env=environment())

    def out(self, *argv: str) -> str:
        done = self(*argv)
        assert done.returncode == 0, f"{argv}: {done.stderr.decode()}"
        return done.stdout.decode().strip()

    def run(self, name: str, *, handler: str = "", ports: Mapping[int, int] | None = None) -> str:
        """Start a pod with its container; the pod's id. ports: the host's, and the container's that they lead to."""
        mapped = [{"host_port": h, "container_port": c, "protocol": 0} for h, c in (ports or {}).items()]
        pod = {
            "metadata": {"name": name, "namespace": "default", "uid": name, "attempt": 1},
            "log_directory": f"{_FOLDER}/logs/{name}",
            "port_mappings": mapped,
            "linux": {"cgroup_parent": f"/{self._lab.name}"},
        }
        container = {"metadata": {"name": name}, "image": {"image": _BOX}, "command": list(SERVE), "log_path": "log"}
        files = [
            self._lab.write(f"{_FOLDER}/{name}-{w}.json", json.dumps(o)) for w, o in (("pod", pod), ("c", container))
        ]
        started = self.out("runp", *(("-r", handler) if handler else ()), files[0])
        self.out("start", self.out("create", "--no-pull", started, files[1], files[0]))
        return started

    def status(self, pod: str) -> dict[str, Any]:
        return dict(json.loads(self.out("inspectp", pod)))

    def address(self, pod: str) -> str:
        """As the CRI tells it to a kubelet."""
        return str(self.status(pod)["status"]["network"]["ip"])

    def netns(self, pod: str) -> str:
        """The name under /run/netns of a pod's namespace."""
        listed = self.status(pod)["info"]["runtimeSpec"]["linux"]["namespaces"]
        return Path(next(n["path"] for n in listed if n["type"] == "network")).name

    def execute(self, pod: str, *argv: str) -> subprocess.CompletedProcess[bytes]:
        """Run a busybox applet inside a pod's container."""
        return self("exec", self.out("ps", "-q", "--pod", pod), "/bin/busybox", *argv)

    def remove(self, pod: str) -> None:
        """As a kubelet does: stopped, which is the first DEL, then removed, the second."""
        self.out("stopp", pod)
        self.out("rmp", "-f", pod)


class Daemon:
    """The containerd behind it, which may be restarted while pods live."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, is_up: Callable[[], bool]) -> None:
        log = self._lab.path(f"{_FOLDER}/containerd.log")
        with log.open("ab") as stream:
            start = f"echo $$ >{_FOLDER}/pid; exec containerd -c {_FOLDER}/config.toml"
            self._process = process = self._lab.start("sh", "-c", start, env=environment(), log=stream)

        def answers() -> bool:
            assert process.poll() is None, log.read_text()
            return is_up()

        until(answers, "containerd's CRI answers")

    def stop(self) -> None:
        if self._process is not None:
            self._lab.out("kill", self._lab.path(f"{_FOLDER}/pid").read_text().strip())
            self._process.wait(PATIENCE)
            self._process = None


@contextlib.contextmanager
def cri(lab: Lab, program: Path) -> Iterator[tuple[Cri, Daemon]]:
    """A containerd with its CRI, its own folders and two images; pods that are left are removed at the end."""
    lab.write(f"{_FOLDER}/config.toml", _CONFIG)
    made, daemon = Cri(lab, program), Daemon(lab)
    try:
        daemon.start(lambda: made("info").returncode == 0)
        for name, files, command in (
            (_PAUSE, {"pause": pause(lab)}, "/pause"),
            (_BOX, _box(lab.path("/run/lab/rootfs")), "/bin/sh"),
        ):
            lab.path(f"{_FOLDER}/image.tar").write_bytes(image(name, files, command))
            lab.out("ctr", "-a", _SOCKET, "-n", "k8s.io", "images", "import", f"{_FOLDER}/image.tar")
        yield made, daemon
    finally:
        for pod in made("pods", "-q").stdout.decode().split():
            made("rmp", "-f", pod)
        daemon.stop()


def pause(lab: Lab) -> bytes:
    """The program of the container that holds a pod's namespaces."""
    source = lab.write(f"{_FOLDER}/pause.c", _PAUSING)
    lab.out("gcc", "-static", "-Os", "-s", "-o", f"{_FOLDER}/pause", source)
    return lab.path(f"{_FOLDER}/pause").read_bytes()


def _box(root: Path) -> dict[str, bytes | Path]:
    """The root file system of the lab's containers."""
    found: dict[str, bytes | Path] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = path.readlink()
        elif path.is_file():
            found[name] = path.read_bytes()
    return found
