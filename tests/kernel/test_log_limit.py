"""How many lines a Log rule writes under a flood, and that it decides nothing once it is silent."""

from __future__ import annotations

import json
import socket
import time

import pytest

from calico_rkt.compiler.ir.model import Action, LogLimit, Network, Rule
from calico_rkt.compiler.targets.nftables.write import write_nftables
from calico_rkt.plugin.enforce.nft import table
from tests.kernel.support import enforce_world as w
from tests.kernel.support import held

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("limit", [LogLimit(), LogLimit(2, 5)])
def test_a_flood_leaves_as_many_lines_as_the_limit_says_and_all_of_it_passes(lab, limit):
    world = w.World(lab)
    web = Network("web", "web", (Rule(Action.LOG), Rule(Action.ALLOW)), (Rule(Action.ALLOW),), log_limit=limit)
    text = write_nftables(web).replace("log prefix", "counter log prefix")
    with w.inside(world.host):
        held.ensure_base(())
        held.load_network(text + w.to_host_script("web", web.endpoint_to_host))
        end = world.end("web")
        table.add_endpoint(end.elements("web"))
    assert any(w.pings(lab, world.outside.ns, 4, end.address[4]) for _ in range(20))
    with w.listener(end.ns, 4, socket.SOCK_DGRAM, 7777) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        begun = time.monotonic()
        for port in range(30000, 30400):  # a flow each: only the first packet of a flow meets the rules
            with w.inside(world.outside.ns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.bind(("", port))
                client.sendto(b"x", (end.address[4], 7777))
        took = time.monotonic() - begun
        for _ in range(400):
            server.recv(8)
    chain = json.loads(lab.run(world.host, ["nft", "-j", "list", "chain", "inet", "calico_rkt", "in-web"]).stdout)
    (lines,) = (
        e["counter"]["packets"] for o in chain["nftables"] for e in o.get("rule", {}).get("expr", ()) if "counter" in e
    )
    assert limit.burst - 2 <= lines <= limit.burst + limit.rate * (took + 2)
