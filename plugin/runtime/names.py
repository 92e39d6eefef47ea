"""Container ids in, the names that people gave out: read from the files of the runtimes of this host, at leisure.

podman and buildah: containers/storage's containers.json; Docker: config.v2.json; containerd's CRI: the annotations of
the task's config.json; nerdctl: its store of names, a file a name that holds the id. What can't be read has no name;
nothing is asked of a runtime.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

_STORAGE, _STORAGE_CONF = "var/lib/containers/storage", "etc/containers/storage.conf"
_DOCKER = "var/lib/docker/containers"
_TASKS = "run/containerd/io.containerd.runtime.v2.task"
_NERDCTL = "var/lib/nerdctl"
_LARGEST = 16 * 1024 * 1024
"""Bytes of one such file that are read."""
_LONGEST_ID = 128
_POD = ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.cri.sandbox-name")


def names_of(containers: Collection[str], root: Path = Path("/")) -> Mapping[str, str]:
    """The name of each container that has one beside its id; root: where the host's files are."""
    wanted = set(containers)
    found: dict[str, str] = {}
    if wanted:
        for container, name in (*_podman(root), *_nerdctl(root), *_one_each(root, wanted)):
            if container in wanted and name and name != container:
                found.setdefault(container, name)
    return found


def _podman(root: Path) -> Iterator[tuple[str, str]]:
    """The file lists all containers; its folder is called by the storage driver: overlay-containers, vfs-containers."""
    for path in sorted(graphroot(root).glob("*-containers/containers.json")):
        listed = _json(path)
        for entry in listed if isinstance(listed, list) else ():
            names = entry.get("names") if isinstance(entry, dict) else None
            if isinstance(names, list) and names:
                yield str(entry.get("id")), str(names[0])


def _nerdctl(root: Path) -> Iterator[tuple[str, str]]:
    """It calls plugins with NAMESPACE-ID."""
    for path in sorted((root / _NERDCTL).glob("*/names/*/*")):
        with suppress(OSError, UnicodeError), path.open("rb") as file:
            yield f"{path.parent.name}-{file.read(_LONGEST_ID).decode('ascii').strip()}", path.name


def graphroot(root: Path) -> Path:
    """Where containers/storage keeps its own, as containers-storage.conf(5) has it."""
    import tomllib

    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        conf = os.environ.get("CONTAINERS_STORAGE_CONF") or root / _STORAGE_CONF
        with Path(conf).open("rb") as file:
            graphroot = tomllib.load(file)["storage"]["graphroot"]
        if isinstance(graphroot, str):
            return root / graphroot.lstrip("/")
    return root / _STORAGE


def _one_each(root: Path, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    for container in wanted:
        if "/" in container or container.startswith("."):
            continue
        docker = _json(root / _DOCKER / container / "config.v2.json")
        if isinstance(docker, dict):
            yield container, str(docker.get("Name", "")).removeprefix("/")
        task = _json(root / _TASKS / "k8s.io" / container / "config.json")
        annotations = task.get("annotations") if isinstance(task, dict) else None
        if isinstance(annotations, dict):
            yield container, "/".join(str(annotations[key]) for key in _POD if annotations.get(key))


def _json(path: Path) -> Any:  # noqa: ANN401 - whatever a runtime wrote there
    with suppress(OSError, ValueError, RecursionError), path.open("rb") as file:
        return json.loads(file.read(_LARGEST))
    return None
