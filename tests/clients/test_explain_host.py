"""Addresses of the host itself, and those that never leave their sender, in; what explain says of them out."""

from __future__ import annotations

import json

import pytest

from tests.clients.support.caller import Caller
from tests.clients.support.commands import tool
from tests.clients.support.lab import HOST_V4, HOST_V6, OUTSIDE_V4, Lab, conf, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24", "fd00:1::/64"))
OPEN_BUT_ONE = "network: web\negress:\n  - {action: Deny, destination: {nets: [192.0.2.1/32]}}\n  - {action: Allow}\n"


@pytest.fixture
def host(bare_lab: Lab) -> Lab:
    bare_lab.write("/etc/cni/net.d/10-web.conf", json.dumps(WEB))
    Caller(bare_lab).add(WEB, "c1", bare_lab.netns("c1"))
    return bare_lab


def explained(host: Lab, *words: str) -> tuple[list[tuple[str, str, str]], list[str]]:
    """(from, to, verdict) of each case, and the notes."""
    done = tool(host, "explain", *words[:2], "tcp/80", *words[2:], "--format", "json")
    assert done.returncode == 0, done
    found = json.loads(done.stdout)
    return [(c["from"], c["to"], c["verdict"]) for c in found["cases"]], found.get("notes", [])


@pytest.mark.parametrize("sender", ["c1", "10.1.0.1", "web"])
def test_an_address_of_the_host_is_the_host(host: Lab, sender: str) -> None:
    shown = "c1 (web)" if sender != "web" else "web"
    said = explained(host, sender, HOST_V4)
    assert said[0][0][1:] == ("host", "Deny"), said
    assert said[1] == [f"{HOST_V4} is an address of this host itself"]
    assert host.run("ping", "-c1", "-W1", HOST_V4, inside="c1").returncode != 0, "as its packets fare"
    assert explained(host, sender, OUTSIDE_V4)[0][0][1:] == ("outside", "Allow")
    if sender == "web":
        assert explained(host, sender, HOST_V6)[0] == [(shown, "host", "Deny")]
    assert explained(host, HOST_V4, sender)[0][0][::2] == ("host", "Allow")


def test_of_a_wider_net_the_host_s_addresses_are_left_out_and_named(host: Lab) -> None:
    host.override("web", OPEN_BUT_ONE)
    tool(host, "apply", "--yes")
    for sender in ("c1", "web"):
        cases, notes = explained(host, sender, "192.0.2.0/24")
        assert [c[1:] for c in cases] == [("outside", "Allow")], cases
        assert notes == [f"{HOST_V4} in 192.0.2.0/24 is this host itself, and left out here: ask for it"]


@pytest.mark.parametrize("word", ["127.0.0.1", "127.0.0.0/8", "::1", "0.0.0.0"])
def test_what_never_leaves_its_sender_is_decided_by_nobody(host: Lab, word: str) -> None:
    for ends in (("c1", word), ("web", word), (word, "web")):
        done = tool(host, "explain", *ends)
        assert done.returncode == 2
        assert b"CR819 error: " in done.stderr
        assert b"never leaves its sender" in done.stderr


def test_a_folder_is_no_host(host: Lab) -> None:
    host.write("/run/lab/net.d/web.conf", json.dumps(WEB))
    assert explained(host, "web", HOST_V4, "-C", "/run/lab/net.d")[0] == [("web", "outside", "Allow")]
    assert explained(host, "web", HOST_V4, "-C", "/etc/cni/net.d")[0] == [("web", "host", "Deny")]


def test_a_rule_that_apply_refuses_is_told_where_the_files_are_what_counts(host: Lab) -> None:
    """As by the networks' names: `db` is not published, so its files are what the answer is of."""
    host.write("/etc/cni/net.d/20-db.conf", json.dumps(conf("db", pool("10.2.0.0/24"))))
    host.override("db", "network: db\ningress:\n  - {action: Allow, source: {selector: has(foo)}}\n  - default\n")
    for words in (("c1", "db"), ("web", "db")):
        done = tool(host, "explain", *words)
        assert (done.returncode, b"CR540" in done.stdout, b"CR540 error" in done.stderr) == (2, True, True), done
    assert tool(host, "explain", "c1", "outside").returncode == 0
