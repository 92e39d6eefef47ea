"""Claims about lists of what the kernel has, while it comes and goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

pytestmark = pytest.mark.kernel

LOOK = """
import json, time
from calico_rkt.plugin.attest.links import beside
from pyroute2.iproute.linux import IPRoute
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted

seen, interrupted, end = [], 0, time.monotonic() + 20
while time.monotonic() < end and interrupted < 5:
    seen.append(beside(["crk1"], "eth0"))
    with IPRoute() as kernel:
        try:
            kernel.get_links()
        except NetlinkDumpInterrupted:
            interrupted += 1
print(json.dumps([interrupted > 0, seen]))
"""


@pytest.fixture
def restless(lab):
    """The host's namespace with links enough for several answers, while others come and go all the time."""
    many = [f"link add many{n} type bridge" for n in range(1, 151)]
    lab.run(lab.host, ["ip", "-batch", "-"], "\n".join(["link add crk1 type bridge", *many]), check=True)
    lab.run(lab.host, ["tc", "qdisc", "add", "dev", "crk1", "clsact"], check=True)
    churn = (
        "while :; do echo link add brief type bridge; echo link del brief type bridge; done | ip -batch - >/dev/null"
    )
    argv = ["nsenter", f"--net=/run/netns/{lab.host}", "sh", "-c", churn]
    with subprocess.Popen(argv, start_new_session=True) as process:
        try:
            yield lab
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_what_is_beside_our_links_is_found_while_others_come_and_go(restless):
    interrupted, seen = json.loads(restless.python(restless.host, LOOK))
    assert interrupted, "no list was cut short: nothing was tried"
    found = [[words for words in one if "come and go" not in words] for one in seen]
    assert found == [["crk1 has tc's clsact, whose filters may drop packets or change them"]] * len(seen)
