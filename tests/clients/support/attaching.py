"""A lab in, `calico-rkt attach` and `detach` in it, and the confs that they find there, out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.clients.support.lab import PLUGINS, Lab, environment, listed, until

CALICO = f"{PLUGINS}/calico"
FOLDER = "/etc/cni/net.d"
OVERRIDE = """network: web
ingress:
  - action: Allow
    protocol: TCP
    source: {network: back}
    destination: {ports: [8080]}
  - default
"""


def network(lab: Lab, first: Mapping[str, Any], *chained: Mapping[str, Any], folder: str = FOLDER) -> None:
    """Write a .conflist: this conf, then the chained plugins."""
    lab.write(f"{folder}/10-{first['name']}.conflist", listed(first, *chained))


def calico(lab: Lab, *argv: str) -> str:
    """stdout of a command of ours that has to succeed."""
    done = lab.run(CALICO, *argv, env=environment())
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def address(lab: Lab, *argv: str) -> str:
    """What an attach with these arguments gave."""
    return calico(lab, "attach", *argv).splitlines()[0].split()[-1]


def holds_policy(lab: Lab, server: str) -> None:
    """The server in web is reached as OVERRIDE says, by the peer in back and by nobody else."""
    until(lambda: lab.fetch(server, 9090), "the host reaches its containers")
    assert lab.fetch(server, 8080, inside="peer", wait=30), "the override opens this port"
    assert not lab.fetch(server, 9090, inside="peer", wait=1), "and only this one"
    assert not lab.fetch(server, 8080, inside="outside", wait=1), "and only to this network"
