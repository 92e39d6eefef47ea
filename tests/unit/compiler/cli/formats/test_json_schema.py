"""Every command's JSON is what `calico-rkt schema answers` says, and names its format and version."""

import json
import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator

from calico_rkt.compiler.cli.formats.json_schema import answers

VALIDATOR = Draft202012Validator(answers())
CONF = '{"cniVersion": "1.0.0", "name": "%s", "type": "calico", "ipam": {"type": "host-local", "subnet": "%s"}}\n'
WEB = """\
network: web
ingress:
  - {action: Deny, protocol: ICMP, icmp: {type: 8, code: 0}}
  - {action: Allow, protocol: ICMP, icmp: {type: 8}}
  - {action: Log, protocol: UDP}
  - {action: Allow, protocol: TCP, source: {notNets: [10.9.0.0/16]}, destination: {ports: [80, "8000:8100"]}}
  - {action: Allow, source: {selector: role == 'db'}}
  - default
endpoint_to_host: return
tests:
  - {name: https, from: {outside: true}, to: {network: web}, protocol: TCP, port: 443, verdict: Allow}
  - {name: nobody, from: {network: nobody}, to: {network: web}, verdict: Deny}
guardrails:
  never: [{name: no telnet, from: {outside: true}, to: {endpoints: true}, protocol: TCP, port: 23}]
"""


def run(*args, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "calico_rkt", *args], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    here = tmp_path_factory.mktemp("answers")
    for name in ("before", "net.d", "bad"):
        (here / name / "profiles").mkdir(parents=True)
        (here / name / "web.conf").write_text(CONF % ("web", "10.1.0.0/24"))
    override, _, rails = WEB.partition("guardrails:")
    (here / "net.d" / "api.conf").write_text(CONF % ("api", "10.2.0.0/24"))
    (here / "net.d" / "profiles" / "web.yaml").write_text(override)
    (here / "net.d" / "profiles" / "rails.yaml").write_text("guardrails:" + rails)
    (here / "bad" / "profiles" / "web.yaml").write_text("network: web\ningress: 7\n")
    return here


@pytest.mark.parametrize(
    ("command", "form"),
    [
        ("check -C net.d", "check"),
        ("check -C bad", "check"),
        ("check -C nowhere", "problems"),
        ("test -C net.d", "test"),
        ("test -C net.d --coverage", "test"),
        ("test -C bad", "problems"),
        ("diff before net.d", "diff"),
        ("diff net.d before --within-guardrails", "diff"),
        ("diff before net.d --within-guardrails", "diff"),
        ("diff net.d bad", "problems"),
        ("explain outside web -C net.d", "explain"),
        ("explain web host -C net.d", "explain"),
        ("explain host web -C net.d", "explain"),
        ("explain web web icmp/8 -C net.d", "explain"),
        ("explain web moon -C net.d", "problems"),
        ("rule CR301", "rule"),
        ("matrix -C net.d", "matrix"),
        ("matrix -C bad", "problems"),
    ],
)
def test_every_answer_is_as_its_schema_says(net, command, form):
    done = run(*command.split(), "--format", "json", cwd=net)
    document = json.loads(done.stdout)
    assert (document["format"], document["version"]) == (f"calico-rkt.{form}", 1)
    VALIDATOR.validate(document)


def test_the_schema_is_one_and_is_printed():
    Draft202012Validator.check_schema(answers())
    assert json.loads(run("schema", "answers", cwd="/").stdout) == answers()


def test_the_schema_refuses_what_no_command_says(net):
    document = json.loads(run("matrix", "-C", "net.d", "--format", "json", cwd=net).stdout)
    for broken in (
        document | {"version": 2},
        document | {"format": "calico-rkt.check"},
        {k: v for k, v in document.items() if k != "cells"},
        document | {"cells": [c | {"flows": [{"portz": []}]} for c in document["cells"]]},
    ):
        assert not VALIDATOR.is_valid(broken)
