"""A runtime's name in, which files it reads and what its own configuration has to say out; and who is here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from calico_rkt.compiler.workspace.host import LIVE
from calico_rkt.plugin.doctor.runtimes.podman import choosing_cni
from calico_rkt.plugin.doctor.runtimes.reader import version_of
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.networks.configured import handler

HANDLERS = "/etc/cni/{name}.d"
"""Where the runtime handler of containerd's CRI for a network looks for its conf."""


_DRIVEN = (5,)
"""The first podman that calls our driver, and leaves confs alone."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """How a runtime takes networks. first: it takes the first file of its folder, whatever that is."""

    words: str
    programs: tuple[str, ...]
    needs: Callable[[str, bool], list[str]]
    """A network's name, and whether its file is the first of its folder, in: command lines for people, or none."""
    use: str
    """The command that starts a container in the network `{name}`."""
    folder: Path = LIVE[1]
    listed: bool = True
    ports: bool = True
    """Whether it asks for ports, which another plugin has to map."""
    deletes: Callable[[], bool] = lambda: False
    """Whether it may delete its networks' confs, so that a second copy is kept."""
    first: bool = False
    links: str = ""
    """A folder `{name}` of its own, where it finds a link to the file."""


def _nothing(name: str, first: bool) -> list[str]:  # noqa: ARG001 - the form of all of them
    return []


def _podman(name: str, first: bool) -> list[str]:  # noqa: ARG001
    create = f"podman network create --driver calico {name}"
    version = version_of("podman")
    if version >= _DRIVEN:
        return [create]
    chosen = choosing_cni()
    lines = [chosen] if chosen else []
    return lines if version else [*lines, f"{create}    # in its place from podman 5"]


def _deletes() -> bool:
    return version_of("podman") < _DRIVEN


def _cri(name: str, first: bool) -> list[str]:
    return [] if first else handler(name, HANDLERS.replace("{name}", name))


def _ctr(name: str, first: bool) -> list[str]:
    if first:
        return []
    return [f"ip netns add c1 && calico-rkt attach {name} c1    # ctr itself takes the first file for all containers"]


def _crio(name: str, first: bool) -> list[str]:  # noqa: ARG001
    conf = "/etc/crio/crio.conf.d/50-network.conf"
    return [f"printf '[crio.network]\\ncni_default_network = \"{name}\"\\n' >{conf}", "systemctl restart crio"]


def _nomad(name: str, first: bool) -> list[str]:  # noqa: ARG001
    return ["systemctl reload nomad"]


RUNTIMES: Mapping[str, Runtime] = MappingProxyType(
    {
        "podman": Runtime("podman", ("podman",), _podman, "podman run --network {name} ...", deletes=_deletes),
        "containerd": Runtime(
            "containerd by ctr", ("containerd",), _ctr, "ctr run --cni ...", listed=False, ports=False, first=True
        ),
        "cri": Runtime("containerd's CRI", ("crictl", "kubelet"), _cri, "crictl runp ...", first=True, links=HANDLERS),
        "nerdctl": Runtime("nerdctl", ("nerdctl",), _nothing, "nerdctl run --net {name} ..."),
        "crio": Runtime("CRI-O", ("crio",), _crio, "crictl runp ..."),
        "nomad": Runtime("Nomad", ("nomad",), _nomad, 'network { mode = "cni/{name}" }', links="/opt/cni/config"),
        "apptainer": Runtime(
            "Apptainer",
            ("apptainer",),
            _nothing,
            "apptainer exec --net --network {name} ...",
            links="/etc/apptainer/network",
        ),
        "rkt": Runtime(
            "rkt", ("rkt",), _nothing, "rkt run --net={name} ...", folder=LIVE[0], listed=False, ports=False
        ),
        "attach": Runtime(
            "Docker, systemd-nspawn, units and LXC",
            ("docker", "systemd-nspawn", "lxc-start"),
            _nothing,
            "calico-rkt attach {name} NETNS",
        ),
    }
)
"""Who can be meant by --for, in the order of `calico-rkt network --help`."""


def here() -> list[str]:
    """The names of the runtimes of this host. ctr and systemd-nspawn belong to others: they count where no other is."""
    there = {p for r in RUNTIMES.values() for p in r.programs if shutil.which(p)}
    found = [n for n, r in RUNTIMES.items() if there & {*r.programs}]
    whose = {
        "containerd": {"cri", "nerdctl"} & {*found} or there & {"docker"},
        "attach": not there & {"docker", "lxc-start"} and len(found) > 1,
    }
    return [n for n in found if not whose.get(n)]


def the_one_here() -> str:
    """The name of the runtime of this host; CniError where there is none, or more than one."""
    found = here()
    if len(found) == 1:
        return found[0]
    if not found:
        raise CniError(
            Code.INVALID_ENVIRONMENT,
            "no runtime is found on this host",
            f"install one, or say for whom: --for {'|'.join(RUNTIMES)}",
        )
    said = " and ".join(RUNTIMES[n].words for n in found)
    hint = "say for whom: " + " or ".join(f"--for {n}" for n in found)
    raise CniError(Code.INVALID_ENVIRONMENT, f"this host has {said}, which read networks in different ways", hint)
