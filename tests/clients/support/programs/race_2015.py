"""Two acts on a cluster of 2015, the second one in the middle of the first, at the place where it hurts most.

usage: python race_2015.py prune|add|pool CONF
prune: looks for endpoints of net1, finds none, and before it deletes the profile an ADD of container a goes by.
add: an ADD of container a has found its profile, and before it writes the endpoint a prune goes by.
pool: an ADD of container a has found no pool, and before it makes one somebody makes a wider one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from ipaddress import ip_network

from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.plugin.calls.dispatch import serve
from calico_rkt.plugin.cni.request import parse_request
from calico_rkt.plugin.store.access import access_of
from calico_rkt.plugin.store.etcd2 import keys, session
from calico_rkt.plugin.store.etcd2.client import Client
from calico_rkt.plugin.store.etcd2.published import Etcd2Profiles
from calico_rkt.plugin.store.etcd2.store import Etcd2Store

PLUGIN = "/opt/cni/bin/calico"
mode, text = sys.argv[1], sys.argv[2]
CALL = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "a", "CNI_NETNS": "/var/run/netns/a", "CNI_IFNAME": "eth0"}
environment = {**os.environ, **CALL}
said = []


def call(*arguments, conf=b""):
    """The plugin's stdout; whatever it said is told where it fails."""
    done = subprocess.run([PLUGIN, *arguments], input=conf, env=environment, check=False, capture_output=True)
    if done.returncode:
        sys.exit(f"{arguments or CALL} gave {done.returncode}: {done.stdout.decode()}{done.stderr.decode()}")
    return done.stdout


class Prune(Etcd2Profiles):
    """Lets an ADD go by after its first look."""

    def endpoint_counts(self):
        found = super().endpoint_counts()
        if not said:
            said.append(call(conf=text.encode()))
        return found


if mode == "prune":
    conf, _ = parse_conf(text.encode())
    profiles = Prune(session.take(access_of(conf)), "node1")
    print("deleted" if profiles.delete_unused("net1", dry_run=False) else "kept")
else:
    write, create = Etcd2Store._write, Client.create

    def late(self, added):
        """Lets a prune go by before the first endpoint is written."""
        if not said:
            said.append(call("prune", "--yes"))
            assert said == [b"deleted profile net1\n"], said
        return write(self, added)

    def later(self, key, value):
        """Lets a wider pool be made before the first pool."""
        if "/pool/" in key and not said:
            said.append(create(self, keys.pool(ip_network("10.0.0.0/8")), '{"cidr":"10.0.0.0/8"}'))
        return create(self, key, value)

    if mode == "add":
        Etcd2Store._write = late
    else:
        Client.create = later
    answers = []
    serve(parse_request(CALL | {"CNI_PATH": "/opt/cni/bin"}, text.encode()), answers.append)
    print("added" if answers else json.dumps(None))
