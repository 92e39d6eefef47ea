"""Many calls at once in one process, as the agent serves them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.clients.support.caller import addresses
from tests.clients.support.lab import PLUGINS, conf, environment, pool

SCRIPT = Path(__file__).parent / "support" / "programs" / "serve_at_once.py"
NETWORKS = {
    "v4": conf("v4", pool("10.1.0.0/24")),
    "both": conf("both", pool("10.2.0.0/24", "fd00:2::/112"), ipMasq=True),
}
AT_ONCE = 24


def call(command, network, container):
    env = {"CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": f"/var/run/netns/{container}"}
    return {"env": env | {"CNI_IFNAME": "eth0", "CNI_PATH": PLUGINS}, "conf": NETWORKS[network]}


def serve(lab, *rounds):
    """The answers of each round, of which none may be an error."""
    lines = "".join(json.dumps(r) + "\n" for r in rounds).encode()
    done = lab.run(sys.executable, str(SCRIPT), stdin=lines, env=environment())
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(rounds), done.stderr
    assert not [a for answer in answers for a in answer if a and "code" in a]
    return answers


@pytest.mark.parametrize("network", NETWORKS)
def test_adds_at_once_are_all_attached_and_dels_at_once_leave_nothing(bare_lab, network):
    names = [f"c{i}" for i in range(AT_ONCE)]
    for name in names:
        bare_lab.netns(name)
    adds, checks, dels = ([call(c, network, n) for n in names] for c in ("ADD", "CHECK", "DEL"))
    added, _, _ = serve(bare_lab, adds, checks, dels)
    given = [a for result in added for a in addresses(result)]
    assert len(given) == len(set(given)) == AT_ONCE * len(NETWORKS[network]["ipam"]["ranges"])
    assert bare_lab.left() == {}
    assert not [name for name in names if "eth0" in bare_lab.links(name)]


def test_adds_and_dels_of_others_at_the_same_time_do_not_meet(bare_lab):
    names = [f"c{i}" for i in range(AT_ONCE)]
    for name in names:
        bare_lab.netns(name)
    even, odd = names[::2], names[1::2]
    serve(
        bare_lab,
        [call("ADD", "v4", n) for n in even],
        [c for pair in zip(even, odd, strict=True) for c in (call("DEL", "v4", pair[0]), call("ADD", "both", pair[1]))],
        [
            c
            for pair in zip(even, odd, strict=True)
            for c in (call("ADD", "both", pair[0]), call("CHECK", "both", pair[1]))
        ],
        [call("CHECK", "both", n) for n in names],
        [call("DEL", "both", n) for n in names],
    )
    assert bare_lab.left() == {}


def test_one_call_twice_at_once_is_one_attachment(bare_lab):
    bare_lab.netns("c")
    (added,) = serve(bare_lab, [call("ADD", "v4", "c")] * 6)
    assert len({json.dumps(a) for a in added}) == 1
    serve(bare_lab, [call("DEL", "v4", "c")] * 6)
    assert bare_lab.left() == {}
