"""A drawn host in, a lab that is it out: networks attached through the plugin, policies changed by `apply`."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import yaml

from calico_rkt.compiler.review.build import build_world
from calico_rkt.compiler.review.snapshot import World
from calico_rkt.compiler.workspace.folder import open_folder
from tests.clients.support.agent import LOG, Agent
from tests.clients.support.caller import Caller, addresses
from tests.clients.support.commands import tool
from tests.clients.support.lab import OVERRIDES, Lab
from tests.clients.support.wire import ways
from tests.clients.support.wire.meaning import Endpoint, Meaning
from tests.clients.support.wire.taps import Taps

CONFS = "/etc/cni/net.d"
_numbers = itertools.count()


class WireHost:
    """One lab whose networks, endpoints and files are a drawn host's; files are also kept in folder, to be compiled."""

    def __init__(self, lab: Lab, agent: Agent | None, folder: Path, host: Mapping[str, Any]) -> None:
        self.lab, self.agent, self.host, self._folder = lab, agent, host, folder
        self._cni = Caller(lab)
        self._confs = {c["name"]: c for c in host["networks"]}
        self.endpoints: dict[str, Endpoint] = {}
        ways.lay(lab)
        lab.out("sysctl", "-qw", f"net.netfilter.nf_conntrack_checksum={int(host['checksums'])}")
        for number, conf in enumerate(host["networks"]):
            lab.write(f"{CONFS}/{number}.conf", json.dumps(conf))
        self.write(host["files"])
        for container in dict.fromkeys(c for c, _, _ in host["endpoints"]):
            lab.netns(container)
        for container, ifname, network in host["endpoints"]:
            self.add(container, ifname, network)

    def add(self, container: str, ifname: str, network: str) -> Endpoint:
        """Attach one interface, as a runtime does."""
        result = self._cni.add(self._confs[network], container, f"/var/run/netns/{container}", ifname)
        given = [ip_address(a) for a in addresses(result)]
        place = f"{container}/{ifname}"
        self.endpoints[place] = Endpoint(place, network, {a.version: a for a in given})
        return self.endpoints[place]

    def delete(self, place: str) -> Endpoint:
        """Detach one."""
        gone = self.endpoints.pop(place)
        container, _, ifname = place.partition("/")
        self._cni.delete(self._confs[gone.network], container, f"/var/run/netns/{container}", ifname)
        return gone

    def write(self, files: Mapping[str, Any]) -> None:
        """The files of the host and of the copy that is compiled here; nothing is applied."""
        local = self._folder / "profiles"
        shutil.rmtree(self._folder, ignore_errors=True)
        local.mkdir(parents=True)
        for number, conf in enumerate(self.host["networks"]):
            (self._folder / f"{number}.conf").write_text(json.dumps(conf))
        for old in self.lab.path(OVERRIDES).glob("*"):
            old.unlink()
        for name, document in files.items():
            text = yaml.safe_dump(json.loads(json.dumps(document)), sort_keys=False)  # a copy has no aliases
            (local / name).write_text(text)
            self.lab.write(f"{OVERRIDES}/{name}", text)

    def apply(self, files: Mapping[str, Any]) -> None:
        """Change the policy in force by the reviewed act."""
        said = self.try_apply(files)
        assert not said, said

    def try_apply(self, files: Mapping[str, Any]) -> str:
        """The same of files that may be refused; why they were."""
        self.write(files)
        done = tool(self.lab, "apply", "--yes")
        return done.stdout.decode() + done.stderr.decode() if done.returncode else ""

    def world(self) -> World:
        """What the files in force compile to."""
        return build_world(open_folder(self._folder, {}))

    def meaning(self) -> Meaning:
        """What these say of packets between those that are attached."""
        return Meaning(self.world(), self.endpoints, checksums=self.host["checksums"])

    def namespace(self, container: str) -> str:
        return str(self.lab.path(f"/run/netns/{container}"))

    @contextlib.contextmanager
    def taps(self) -> Iterator[Taps]:
        """Wires to all that are there now, which carry packets before and after: what did not come tells something."""
        there = dict(self.endpoints)
        places = {place: (self.namespace(place.partition("/")[0]), place.partition("/")[2]) for place in there}
        with Taps(self.lab, {**places, "outside": (self.namespace("outside"), "out0")}) as made:
            self._prove(made, there)
            self.forget_flows()
            try:
                yield made
            finally:
                self._prove(made, there)

    def _prove(self, taps: Taps, there: Mapping[str, Endpoint]) -> None:
        ways.prove(taps, {place: e.addresses for place, e in there.items() if self.endpoints.get(place) == e})

    def forget_flows(self) -> None:
        """So that no packet of the next batch is a part of a flow of this one."""
        self.lab.out("conntrack", "-F")


@contextlib.contextmanager
def wire_host(binary: Path, folder: Path, host: Mapping[str, Any], *, agent: bool) -> Iterator[WireHost]:
    """The host up, each call a process of its own or done by a warm agent; it is emptied and looked at in the end."""
    lab = Lab(binary, f"calico-rkt-lab-{os.getpid()}-wire{next(_numbers)}")
    try:
        warm = Agent(lab).start() if agent else None
        made = WireHost(lab, warm, folder, host)
        yield made
        if warm is not None:
            assert warm.is_running(), lab.path(LOG).read_text()
        for place in list(made.endpoints):
            made.delete(place)
        assert lab.left() == {}
    finally:
        lab.close()
