"""Containers by their names on a host with podman: what explain, trace and logs say of them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from calico_rkt.compiler.cli.formats.json_schema import answers
from tests.clients.support.lab import IDLE, OVERRIDES, PLUGINS, Lab, conf, pool
from tests.clients.support.podman import Podman
from tests.clients.support.tracing import send, started

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

YAML = """network: back
ingress:
  - {action: Allow, protocol: TCP, source: {network: web}, destination: {ports: [8080]}}
"""


@pytest.fixture(scope="module")
def host(binary: Path) -> Iterator[tuple[Lab, Podman]]:
    """podman with a container `shop` in the network web, and `db` in the network back."""
    lab = Lab(binary, f"calico-rkt-lab-{os.getpid()}-containers")
    try:
        podman = Podman(lab)
        lab.override("back", YAML)
        for name, subnet, container in (("web", "10.61.0.0/24", "shop"), ("back", "10.62.0.0/24", "db")):
            network = conf(name, pool(subnet))
            podman.network(network)
            lab.write(f"/etc/cni/net.d/{name}.conf", json.dumps(network))
            podman.run(name, container, *IDLE)
        yield lab, podman
    finally:
        lab.close()


def calico(host: tuple[Lab, Podman], *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    lab, podman = host
    done = lab.run(f"{PLUGINS}/calico", *argv, env={**podman.environment, **more})
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_explain_takes_containers_and_answers_by_what_is_in_force(host: tuple[Lab, Podman]) -> None:
    allowed = calico(host, "explain", "shop", "db", "tcp/8080")
    assert (allowed.returncode, allowed.stderr) == (0, "")
    assert "shop (web) -> db (back): ALLOWED" in allowed.stdout
    assert "such as TCP 10.61.0.1:" in allowed.stdout
    assert f"ingress of back: {OVERRIDES}/back.yaml:3 Allow TCP" in allowed.stdout
    (container,) = json.loads(calico(host, "ls", "db", "--format", "json").stdout)["endpoints"]
    by_id = json.loads(calico(host, "explain", container["container"][:8], "outside", "--format", "json").stdout)
    Draft202012Validator(answers()).validate(by_id)
    assert {(c["from"], c["to"]) for c in by_id["cases"]} == {("db (back)", "outside")}
    lab, _ = host
    lab.override("back", YAML.replace("8080", "9090"))
    try:
        stale = calico(host, "explain", "shop", "db", "tcp/8080").stdout
        assert "back: what is in force is not what the files say" in stale
        assert "shop (web) -> db (back): ALLOWED" in stale
        assert "ALLOWED" not in calico(host, "explain", "web", "back", "tcp/8080").stdout  # by the files, as ever
    finally:
        lab.override("back", YAML)
    for words, said in (
        ("shop", "explain"),
        ("sohp db", "did you mean shop?"),
        ("shop shop", "no packet goes from shop"),
    ):
        done = calico(host, "explain", *words.split())
        assert (done.returncode, said in done.stderr) == (2, True), done


def test_trace_takes_them_by_name(host: tuple[Lab, Podman]) -> None:
    lab, podman = host
    process, _ = started(lab, "shop", "db", "--count", "1", env=podman.environment)
    pid = podman("inspect", "--format", "{{.State.Pid}}", "shop").stdout.decode().strip()
    send(lab, f"/proc/{pid}/ns/net", "udp", "10.62.0.1", 53)
    out, _ = process.communicate()
    assert "from shop (web) to db (back)" in out
    assert f"by ingress of back: {OVERRIDES}/back.yaml:1 no rule allows it" in out


def test_logs_tell_what_was_said_of_a_container_or_a_network(host: tuple[Lab, Podman]) -> None:
    lab, _ = host
    container = json.loads(calico(host, "ls", "shop", "--format", "json").stdout)["endpoints"][0]["container"]
    for word in ("shop", container[:10], container, "10.61.0.1"):
        (line,) = calico(host, "logs", word).stdout.splitlines()
        assert f"INFO ADD web {container} eth0: " in line
    (line,) = calico(host, "logs", "back", "--format", "json", "--since", "1h").stdout.splitlines()
    Draft202012Validator(answers()).validate(json.loads(line))
    assert json.loads(line)["text"].startswith("ADD back ")
    command = lab.command(f"{PLUGINS}/calico", "logs", "--follow", "--lines", "1")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert "ADD back" in following.stdout.readline()
        lab.out("mv", "/var/log/calico-rkt/calico-rkt.log", "/var/log/calico-rkt/calico-rkt.log.1")
        refused = lab.run(
            f"{PLUGINS}/calico", stdin=json.dumps(conf("web", pool("10.61.0.0/24"))).encode(), env=FAILING
        )
        assert refused.returncode == 1
        assert "ERROR ADD web f00d eth0: " in following.stdout.readline()
        (pid,) = lab.out("pgrep", "-f", " logs --follow").split()
        lab.out("kill", "-INT", pid)
    assert following.returncode == 0
    assert "ERROR ADD web f00d" in calico(host, "logs", "f00d").stdout
    assert len(calico(host, "logs").stdout.splitlines()) >= 3
    assert "ERROR ADD web f00d" in calico(host, "logs", "web", "--since", "1h").stdout
    wrong = {"nobody": 1, "web --since 2199-01-01": 1, "web --since soon": 2, "web --lines 0": 2}
    assert {words: calico(host, "logs", *words.split()).returncode for words in wrong} == wrong


FAILING = {
    "CNI_COMMAND": "ADD",
    "CNI_CONTAINERID": "f00d",
    "CNI_NETNS": "/run/netns/none",
    "CNI_IFNAME": "eth0",
    "CNI_PATH": PLUGINS,
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
}


def test_who_only_asks_makes_no_file(bare_lab: Lab) -> None:
    bare_lab.write("/etc/cni/net.d/web.conf", json.dumps(conf("web", pool("10.61.0.0/24"))))
    for word in ("moon", "container:moon"):
        done = bare_lab.run(f"{PLUGINS}/calico", "explain", word, "outside")
        assert (done.returncode, b"nobody here is called" in done.stderr) == (2, True), done
    assert not bare_lab.path("/run/calico-rkt").exists()
    assert not bare_lab.path("/var/log/calico-rkt").exists()
