"""A host's files in; `check` and `apply` of them say the same of what a rule may be about, out."""

from __future__ import annotations

import json

import pytest

from tests.clients.support.commands import states, tool
from tests.clients.support.lab import OVERRIDES, conf, pool

pytestmark = pytest.mark.clients

RULE = "network: web\ningress:\n  - {action: Allow, source: {%s}}\n  - default\n"
CONFS = "/etc/cni/net.d"
REFUSED = {
    "misspelt": ("network: bakc", "did you mean back?"),
    "an override alone": ("network: front", "put its conf here first"),
    "a label of an override alone": ("selector: has(front)", "no network here applies the label front"),
    "the host": ("network: host", "no word for the host"),
}
TAKEN = {
    "another network": "network: back",
    "its own": "network: web",
    "a label": "selector: has(back)",
    "one whose conf can't be read": "network: broken",
}


@pytest.fixture
def host(bare_lab):
    for name, subnet in (("web", "10.1.0.0/16"), ("back", "10.2.0.0/16")):
        bare_lab.write(f"{CONFS}/10-{name}.conf", json.dumps(conf(name, pool(subnet))))
    bare_lab.write(f"{CONFS}/30-broken.conf", json.dumps(conf("broken", pool("10.3.0.0/16"), mtu="a")))
    bare_lab.override("front", "network: front\ningress: [default]\n")
    return bare_lab


def test_what_a_rule_may_not_be_about_is_the_same_error_of_check_and_apply(host):
    for what, (words, hint) in REFUSED.items():
        host.override("web", RULE % words)
        check, apply = tool(host, "check"), tool(host, "apply", "--yes")
        place = f"{OVERRIDES}/web.yaml:3:".encode()
        for done, said in ((check, check.stdout), (apply, apply.stderr)):
            assert (done.returncode, hint.encode() in said) == (2, True), (what, done)
            told = [line.split(b": ", 1)[1] for line in said.splitlines() if line.startswith(place)]
            assert [line[:12] for line in told] == [b"CR540 error:"], (what, done)
    assert states(host)["web"] == "unusable"


def test_what_apply_takes_check_takes(host):
    for what, words in TAKEN.items():
        host.override("web", RULE % words)
        check, apply = tool(host, "check"), tool(host, "apply", "--yes")
        assert b"CR540" not in check.stdout + apply.stderr, (what, check, apply)
        assert states(host)["web"] == "in step", what


def test_a_network_that_is_published_still_is_known_to_apply_until_it_is_pruned(host):
    host.override("web", RULE % "network: back")
    tool(host, "apply", "--yes", "back")
    host.path(CONFS, "10-back.conf").unlink()
    assert b"CR540" in tool(host, "check").stdout
    assert b"applied: web" in tool(host, "apply", "--yes", "web").stdout
