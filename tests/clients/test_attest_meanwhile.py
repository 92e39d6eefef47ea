"""Changes that are under way while the kernel is attested: told as such, and never as a difference."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.clients.support.caller import Caller
from tests.clients.support.lab import PLUGINS, Lab, conf, environment, pool, until
from tests.faults.holder import POLICY, Holder

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"))
OTHER = "network: web\ningress: []\n"


@pytest.fixture
def host(bare_lab: Lab) -> Lab:
    bare_lab.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    Caller(bare_lab).add(WEB, "c1", bare_lab.netns("c1"))
    return bare_lab


def begun(host: Lab) -> subprocess.Popen[bytes]:
    """An attest that has seen a difference, and waits for who holds the lock."""
    pipe = subprocess.PIPE
    made = subprocess.Popen(host.command(f"{PLUGINS}/calico", "attest"), stdout=pipe, stderr=pipe, env=environment())
    until(lambda: "->" in host.out("cat", "/proc/locks"), "it waits")
    return made


def test_files_that_were_changed_while_it_looked_are_read_again(host: Lab) -> None:
    holder = Holder(host, POLICY, (), stopped=False)
    host.override("web", OTHER)
    attest = begun(host)
    host.override("web", "network: web\n")
    holder.end()
    out, _ = attest.communicate(timeout=120)
    assert attest.returncode == 0, out
    assert b"equal: the kernel enforces exactly this" in out, out


def test_a_change_that_goes_on_and_on_is_not_proven_and_no_difference(host: Lab) -> None:
    holder = Holder(host, POLICY, (), stopped=True)
    host.override("web", OTHER)
    out, _ = begun(host).communicate(timeout=120)
    assert b"not proven: a change is under way: somebody held /run/calico-rkt/policy.lock" in out, out
    assert f"kill -CONT {holder.pid}".encode() in out, out
    assert b"differs:" not in out
    holder.end()


@pytest.mark.parametrize("network", ["web", "db"])
def test_an_add_that_ended_half_way_is_no_difference(host: Lab, network: str) -> None:
    known = conf(network, pool("10.1.0.0/24" if network == "web" else "10.2.0.0/24"))
    host.write(f"/etc/cni/net.d/{network}.conf", json.dumps(known))
    holder = Holder(host, POLICY, (), stopped=False)
    env = {**environment(), "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c2", "CNI_NETNS": host.netns("c2")}
    env |= {"CNI_IFNAME": "eth0", "CNI_PATH": PLUGINS}
    add = subprocess.Popen(host.command(f"{PLUGINS}/calico"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env)
    assert add.stdin is not None
    add.stdin.write(json.dumps(known).encode())
    add.stdin.close()
    until(lambda: "->" in host.out("cat", "/proc/locks"), "it waits for the lock, with its record made")
    (waits,) = (line.split()[5] for line in host.out("cat", "/proc/locks").splitlines() if "->" in line)
    host.out("kill", "-KILL", waits)
    add.wait(timeout=60)
    holder.end()
    status, attest = (host.run(f"{PLUGINS}/calico", verb, env=environment()) for verb in ("status", "attest"))
    assert (status.returncode, attest.returncode) == (0, 0), (status, attest)
    assert b" 1 endpoints" in attest.stdout, attest


def test_a_ruleset_that_changes_all_the_while_is_attested_between_two_changes(host: Lab) -> None:
    """As calls do: each change under the lock, and no pause that would do for a look."""
    host.out("nft", "add table inet other; add chain inet other busy")
    change = "nft add rule inet other busy accept; nft flush chain inet other busy"
    loop = f"while :; do flock -s /run/calico-rkt/policy.lock sh -c '{change}'; done"
    changing = subprocess.Popen(host.command("sh", "-c", loop), env=environment())
    try:
        attest = host.run(f"{PLUGINS}/calico", "attest", env=environment())
    finally:
        changing.kill()
        changing.wait(timeout=60)
    assert attest.returncode == 0, attest
