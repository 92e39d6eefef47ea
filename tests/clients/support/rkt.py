"""A lab in, pods of a rkt 1.30 stand-in out: it calls plugins as rkt's stage 0 does and reads as little.

What rkt sends and reads was recorded from rkt 1.30, host flavour. Its ways that matter: no DEL for the
network whose ADD failed, a failed DEL is printed and never tried again, only ip4, ip6 and dns are read.
"""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import dataclass, field
from ipaddress import ip_interface
from typing import Any

from tests.clients.support.caller import Reply
from tests.clients.support.lab import REFERENCE_PLUGINS, Lab

NETS = "/etc/rkt/net.d"
PLUGINS = "/var/lib/rkt/plugins/net"
_PODS = "/var/lib/rkt/pods"
_STAGE1_PLUGINS = "stage1/rootfs/usr/lib/rkt/plugins/net"


class PodError(Exception):
    """rkt could not set a network up: msg is all that it shows of the plugin's error."""

    def __init__(self, reply: Reply, msg: str) -> None:
        self.reply, self.msg = reply, msg
        super().__init__(msg)


@dataclass(slots=True)
class Active:
    """A network of a running pod: conf holds the bytes saved at ADD, which DEL gets."""

    conf: bytes
    plugin: str
    args: str
    ifname: str
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def ip(self) -> str:
        """What rkt shows as the pod's address: it parses ip4.ip as a CIDR."""
        return str(ip_interface(self.result["ip4"]["ip"]).ip)


@dataclass(slots=True)
class Pod:
    """A pod's UUID, its network namespace's name (cni- and another UUID) and its networks in order."""

    uuid: str
    netns: str
    folder: str
    networks: list[Active] = field(default_factory=list)
    failures: list[Reply] = field(default_factory=list)


class Rkt:
    """rkt with its folders in the lab; the plugin stands in its plugin folder under the conf's type."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        lab.path(PLUGINS).mkdir(parents=True)
        shutil.copy(lab.path("/opt/cni/bin/calico"), lab.path(PLUGINS, "calico"))

    def net(self, file: str, conf: bytes) -> bytes:
        """Write a network's conf file as its bytes; gives them back."""
        self._lab.write(f"{NETS}/{file}", conf)
        return conf

    def pod(self, pod_uuid: str = "") -> Pod:
        """An empty pod: its folder with stage 1's plugins, and its network namespace."""
        name = pod_uuid or str(uuid.uuid4())
        folder = f"{_PODS}/run/{name}"
        stage1 = self._lab.path(folder, _STAGE1_PLUGINS)
        stage1.mkdir(parents=True)
        (stage1 / "host-local").symlink_to(f"{REFERENCE_PLUGINS}/host-local")
        netns = f"cni-{uuid.uuid4()}"
        self._lab.netns(netns)
        return Pod(name, netns, folder)

    def setup(self, pod: Pod, *confs: bytes, args: str = "") -> list[Active]:
        """Join the networks in order, eth0 first; when one fails, those before it are taken down, it is not."""
        for number, conf in enumerate(confs):
            active = Active(conf, json.loads(conf)["type"], args, f"eth{number}")
            reply = self.call("ADD", pod, active, f"/var/run/netns/{pod.netns}")
            if reply.status != 0:
                self._teardown(pod, f"/var/run/netns/{pod.netns}")
                raise PodError(reply, json.loads(reply.stdout)["msg"])
            active.result = json.loads(reply.stdout)
            pod.networks.append(active)
        return pod.networks

    def collect(self, pod: Pod, *, netns_gone: bool = False) -> None:
        """`rkt gc`: DEL once for each network, last first, in the folder of exited pods; failures are only kept.

        netns_gone: the namespace went before (a reboot of stage 1), so rkt hands over an empty CNI_NETNS.
        """
        garbage = f"{_PODS}/exited-garbage/{pod.uuid}"
        self._lab.path(garbage).parent.mkdir(exist_ok=True)
        self._lab.path(pod.folder).rename(self._lab.path(garbage))
        pod.folder = garbage
        if netns_gone:
            self._lab.out("ip", "netns", "delete", pod.netns)
        self._teardown(pod, "" if netns_gone else f"/var/run/netns/{pod.netns}")
        if not netns_gone:
            self._lab.out("ip", "netns", "delete", pod.netns)

    def call(self, command: str, pod: Pod, active: Active, netns: str) -> Reply:
        """One call with rkt's exact environment, argv[0] only, in the pod's folder, the conf's raw bytes on stdin."""
        done = self._lab.run(
            f"{PLUGINS}/{active.plugin}",
            cwd=pod.folder,
            stdin=active.conf,
            env={
                "CNI_VERSION": "0.1.0",
                "CNI_COMMAND": command,
                "CNI_CONTAINERID": pod.uuid,
                "CNI_NETNS": netns,
                "CNI_ARGS": active.args,
                "CNI_IFNAME": active.ifname,
                "CNI_PATH": f"{NETS}:{PLUGINS}:{_STAGE1_PLUGINS}",
            },
        )
        return Reply(done.returncode, done.stdout, done.stderr)

    def _teardown(self, pod: Pod, netns: str) -> None:
        while pod.networks:
            reply = self.call("DEL", pod, pod.networks.pop(), netns)
            if reply.status != 0:
                pod.failures.append(reply)
