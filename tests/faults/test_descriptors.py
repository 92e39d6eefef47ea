"""An ADD and a DEL with ever fewer descriptors: for real, since a library may end its process where it gets none."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from calico_rkt.plugin.errors import Code
from tests.clients.support.caller import Reply
from tests.clients.support.lab import HANGS, PLUGINS, environment, variables
from tests.faults.host import WEB, WatchedHost

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]
FEWEST, MOST = 4, 26
"""Below it there is none for Python; with so many all is done."""


def limited(host: WatchedHost, verb: str, name: str, limit: int) -> Reply:
    argv = host.lab.command("prlimit", f"--nofile={limit}:{limit}", f"{PLUGINS}/calico")
    env = environment(variables(verb, name))
    done = subprocess.run(
        argv, input=json.dumps(WEB).encode(), env=env, capture_output=True, check=False, timeout=HANGS
    )
    return Reply(done.returncode, done.stdout, done.stderr)


def test_who_has_too_few_descriptors_says_so_and_leaves_nothing(binary: Path):
    host = WatchedHost(binary, "calico-rkt-lab-faults-few")
    try:
        base = host.look()
        done = 0
        for limit in range(FEWEST, MOST + 1):
            name = f"few{limit}"
            netns = host.netns(name)
            with host.senders.silent():
                host.lab.out("nft", "delete", "table", "inet", "calico_rkt")  # so that the whole table has to be built
            reply = limited(host, "ADD", name, limit)
            if reply.status:
                assert reply.refused()["code"] != Code.INTERNAL, f"{limit} descriptors: {reply}"
            else:
                done += 1
            reply = limited(host, "DEL", name, limit)
            if reply.status:
                assert reply.refused()["code"] != Code.INTERNAL, f"{limit} descriptors: {reply}"
                host.helper("DEL", WEB, name, netns)
            host.no_netns(name)
            host.lab.out(f"{PLUGINS}/calico", "restore")
            found = host.differs(base)
            assert not found, f"{limit} descriptors: {found}"
        assert 0 < done < MOST - FEWEST, "some were too few, some enough"
    finally:
        host.close()
