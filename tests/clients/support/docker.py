"""A host with Debian's docker.io in, dockerd and its containers without a network out."""

from __future__ import annotations

from tests.clients.support.lab import Lab, environment, until

IMAGE = "box"
_FOLDER = "/run/docker-lab"
_LOG = f"{_FOLDER}/log"


class Docker:
    """One dockerd. Its containers run without a network of Docker's, in a namespace that it makes for each."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def __call__(self, *argv: str) -> str:
        return self._lab.out("docker", *argv).strip()

    def run(self, name: str, *argv: str) -> None:
        """Start a container; a whole machine's limits are not Docker's to raise here."""
        limits = ("--ulimit", "nofile=1024:1024", "--cgroup-parent", f"/{self._lab.name}")
        self("run", "-d", "--name", name, "--network", "none", *limits, IMAGE, *argv)

    def netns(self, name: str) -> str:
        """The path that Docker keeps a running container's namespace at."""
        return self("inspect", "-f", "{{.NetworkSettings.SandboxKey}}", name)

    def pid(self, name: str) -> str:
        return self("inspect", "-f", "{{.State.Pid}}", name)


def docker(lab: Lab, rootfs: str) -> Docker:
    """A dockerd with a containerd of its own and IMAGE, a folder's files; its end is the host's."""
    lab.path(_FOLDER).mkdir(parents=True)
    with lab.path(_LOG).open("wb") as log:
        start = ("dockerd", "--storage-driver", "vfs", "--data-root", f"{_FOLDER}/data")
        daemon = lab.start(*start, env=environment(), log=log)

    def answers() -> bool:
        assert daemon.poll() is None, lab.path(_LOG).read_text()
        return lab.run("docker", "version").returncode == 0

    until(answers, "dockerd answers")
    lab.out("sh", "-c", f"tar -C {rootfs} -c . | docker import - {IMAGE}")
    return Docker(lab)
