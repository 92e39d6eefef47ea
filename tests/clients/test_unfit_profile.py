"""A published profile edited or deleted by hand in; who stays in force, who is told, and what cures it, out."""

from __future__ import annotations

import json

import pytest

from tests.clients.support.agent import LOG, Agent
from tests.clients.support.caller import Caller
from tests.clients.support.commands import tool
from tests.clients.support.lab import PUBLISHED, Lab, conf, pool, until

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24"))
BACK = conf("back", pool("10.2.0.0/24"))
EDITED = "the published profile 'web' can not be used"


@pytest.fixture
def host(bare_lab: Lab) -> Lab:
    """Two endpoints in web, one in back."""
    for known in (WEB, BACK):
        bare_lab.write(f"/etc/cni/net.d/{known['name']}.conf", json.dumps(known))
    for name, known in (("w1", WEB), ("w2", WEB), ("b1", BACK)):
        Caller(bare_lab).add(known, name, bare_lab.netns(name))
    return bare_lab


def edit(host: Lab) -> None:
    profile = host.path(PUBLISHED, "web.yaml")
    profile.write_text(profile.read_text().replace("  egress:\n    - action: Allow\n", ""))


def runs(host: Lab) -> bool:
    """Whether web's containers reach each other by policy."""
    return host.run("ping", "-c", "1", "-W", "1", "10.1.0.2", inside="w1").returncode == 0


def test_a_restore_says_how_many_endpoints_it_leaves_closed_and_why(host: Lab) -> None:
    edit(host)
    for _ in range(2):
        done = tool(host, "restore")
        said = done.stderr.decode()
        assert done.returncode == 1
        assert done.stdout.decode().startswith("restored 1 endpoint; 2 stay closed: calico-rkt doctor says what")
        assert "calico-rkt: stays closed: network web, 2 endpoints: " in said
        assert "edited" in said
    assert not runs(host)
    host.path(PUBLISHED, "web.yaml").unlink()
    done = tool(host, "restore")
    assert b"network web, 2 endpoints: nothing is published for it" in done.stderr


def test_a_restore_that_mends_host_ends_alone_counts_who_is_closed_already(host: Lab) -> None:
    edit(host)
    tool(host, "restore")
    host.out("ip", "route", "del", "10.2.0.1")
    done = tool(host, "restore", "--if-needed")
    assert (done.returncode, b"restored 1 endpoint; 2 stay closed" in done.stdout) == (1, True), done


def test_what_a_restore_can_not_put_right_is_no_reason_for_one(host: Lab) -> None:
    edit(host)
    for _ in range(2):
        done = tool(host, "restore", "--if-needed")
        assert done.returncode == 1
        assert done.stdout == b"nothing of it is for a restore to put right: calico-rkt doctor\n"
        assert b"differs: network web keeps the rules that are in force until a restore closes it" in done.stderr
        assert runs(host)
    host.out("ip", "route", "del", "10.2.0.1")
    done = tool(host, "restore", "--if-needed")
    assert (done.returncode, done.stdout) == (1, b"restored 3 endpoints\n"), done
    assert runs(host), "what was mended is a host's end"


def test_an_agent_leaves_a_running_network_as_it_was_reviewed_and_says_so(host: Lab) -> None:
    agent = Agent(host).start()
    edit(host)
    # Rules of somebody else's, by nft: news after which the agent compares.
    host.out("nft", "add table inet other; add chain inet other c")
    log = host.path(LOG)
    until(lambda: "network web keeps the rules that are in force" in log.read_text(), "the agent compares")
    assert runs(host)
    assert agent.counted("restores_total") == 0
    agent.kill()


def test_no_harmless_cure_cuts_a_running_network_off(host: Lab) -> None:
    edit(host)
    host.out("ip", "route", "del", "10.2.0.1")
    found = {f["code"]: f for f in json.loads(tool(host, "doctor", "--format", "json").stdout)["findings"]}
    assert set(found) == {"CR941", "CR943"}
    assert not found["CR941"]["fixable"]
    assert "a restore would cut off web: cure that first" in found["CR941"]["follows"]
    tool(host, "doctor", "--fix", "--yes")
    assert runs(host)
    assert b"applied: web" in tool(host, "apply", "--yes", "--take-over", "web").stdout
    assert tool(host, "doctor", "--fix", "--yes").returncode == 0


def test_a_network_whose_profile_was_deleted_is_cured_by_an_apply(host: Lab) -> None:
    host.path(PUBLISHED, "web.yaml").unlink()
    for closed in (False, True):
        assert runs(host) is not closed
        (found,) = json.loads(tool(host, "doctor", "--format", "json").stdout)["findings"]
        assert (found["code"], found["cure"], found["fixable"]) == ("CR947", "calico-rkt apply web", False)
        assert found["message"] == "2 endpoints of network 'web', and nothing is published for it"
        tool(host, "restore")
    host.path("/etc/cni/net.d/web.conf").rename(host.path("/etc/web.conf"))
    (found,) = json.loads(tool(host, "doctor", "--format", "json").stdout)["findings"]
    assert (found["code"], found["cure_is_command"]) == ("CR947", False)
    host.path("/etc/web.conf").rename(host.path("/etc/cni/net.d/web.conf"))
    assert b"applied: web" in tool(host, "apply", "--yes", "web").stdout
    assert runs(host)
    assert tool(host, "doctor").returncode == 0


@pytest.mark.parametrize("thing", ["mkfifo", "mkdir"])
def test_what_is_no_file_in_its_place_hangs_nothing(host: Lab, thing: str) -> None:
    place = f"{PUBLISHED}/web.yaml"
    host.path(place).unlink()
    host.out(thing, place)
    words = b"is no regular file" if thing == "mkfifo" else b"is a folder, not a file"
    for command in (("status",), ("restore", "--if-needed"), ("apply", "--yes"), ("doctor",)):
        done = tool(host, *command)
        assert done.returncode == 1, done
    assert words in tool(host, "status").stdout
    assert runs(host)
    done = tool(host, "apply", "--yes", "--take-over")
    if thing == "mkdir":
        assert (done.returncode, f"mv {place} {place}.was".encode() in done.stderr) == (2, True), done
        host.out("mv", place, f"{place}.was")
        done = tool(host, "apply", "--yes")
    assert done.returncode == 0, done
    assert runs(host)
    assert tool(host, "status").returncode == 0
