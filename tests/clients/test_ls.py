"""calico-rkt ls on a host with containers: what runs where, and what of it is no longer there."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime

import pytest
from jsonschema import Draft202012Validator

from calico_rkt.compiler.cli.formats.json_schema import answers
from calico_rkt.plugin.link.groups import group_of
from tests.clients.support.caller import Caller
from tests.clients.support.lab import IDLE, PATIENCE, PLUGINS, Lab, conf, environment, pool
from tests.clients.support.podman import Podman

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.61.0.0/24"))
LONG = "c" * 64


def ls(lab: Lab, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    done = lab.run(f"{PLUGINS}/calico", "ls", *argv, env={**environment(), **more})
    assert b"Traceback" not in done.stdout + done.stderr, done
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def endpoints(lab: Lab, *argv: str, **more: str) -> list[dict[str, object]]:
    document = json.loads(ls(lab, *argv, "--format", "json", **more).stdout)
    Draft202012Validator(answers()).validate(document)
    return document["endpoints"]


@pytest.fixture
def cni(lab: Lab) -> Caller:
    lab.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    return Caller(lab)


def test_each_endpoint_is_a_line_and_a_dead_one_says_so(lab: Lab, cni: Caller) -> None:
    cni.add(WEB, "c1", lab.netns("a"))
    cni.add(WEB, LONG, lab.netns("b"))
    head, first, second = ls(lab).stdout.splitlines()
    assert head.split() == [
        "NETWORK",
        "CONTAINER",
        "NAME",
        "IFNAME",
        "ADDRESS",
        "HOST",
        "END",
        "STATE",
        "POLICY",
        "SINCE",
    ]
    assert first.split()[:5] == ["web", "c1", "-", "eth0", "10.61.0.1"]
    *_, day, time = first.split()
    assert first.removesuffix(f"  {day} {time}").endswith("attached  in step")
    ago = datetime.now() - datetime.fromisoformat(f"{day} {time}")  # noqa: DTZ005 - people read it on their host
    assert 0 <= ago.total_seconds() < PATIENCE
    assert second.split()[1] == LONG[:12]
    lab.out("ip", "netns", "del", "b")
    assert [e["state"] for e in endpoints(lab)] == ["attached", "gone"]
    lab.override("web", "network: web\ningress:\n  - {action: Allow, protocol: TCP}\n")
    assert {e["policy"] for e in endpoints(lab)} == {"stale"}


def test_an_endpoint_without_rules_and_a_host_without_a_table_say_so(bare_lab: Lab) -> None:
    bare_lab.write("/etc/cni/net.d/web.conf", json.dumps(WEB))
    Caller(bare_lab).add(WEB, "c1", bare_lab.netns("a"))
    Caller(bare_lab).add(WEB, "c2", bare_lab.netns("b"))
    mine = endpoints(bare_lab)[0]["host_ifname"]
    bare_lab.out("nft", f'delete element inet calico_rkt endpoints {{ "{mine}" . {group_of("web")} }}')
    assert [e["policy"] for e in endpoints(bare_lab)] == ["closed", "in step"]
    bare_lab.out("/opt/cni/bin/calico", "restore")
    assert [e["policy"] for e in endpoints(bare_lab)] == ["in step", "in step"]
    bare_lab.out("ip", "link", "set", "dev", mine, "group", "7")
    assert [e["policy"] for e in endpoints(bare_lab)] == ["closed", "in step"]
    bare_lab.out("nft", f"delete element inet calico_rkt from_network {{ {group_of('web')} }}")
    assert [e["policy"] for e in endpoints(bare_lab)] == ["closed", "closed"]
    bare_lab.out("nft", "delete table inet calico_rkt")
    assert {e["policy"] for e in endpoints(bare_lab)} == {"not in force"}


def test_a_container_is_meant_by_its_name_its_id_or_the_begin_of_it_and_a_network_by_its_name(
    lab: Lab, cni: Caller
) -> None:
    cni.add(WEB, LONG, lab.netns("a"))
    for word in (LONG, LONG[:5], "web", "10.61.0.1"):
        assert [e["container"] for e in endpoints(lab, word)] == [LONG]
    for word in ("d", "eth0", "10.61.0.2", "we", ""):
        done = ls(lab, word)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"no endpoint is {word!r}'s" in done.stderr


def test_nothing_is_no_fault(lab: Lab) -> None:
    done = ls(lab)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "calico-rkt: there is no endpoint on this host\n"
    assert endpoints(lab) == []


def test_podman_s_containers_have_their_names(lab: Lab) -> None:
    podman = Podman(lab)
    podman.network(WEB)
    podman.run("web", "server", *IDLE)
    (found,) = endpoints(lab, "server", **podman.environment)
    assert (found["name"], found["network"], found["state"]) == ("server", "web", "attached")


def test_an_address_is_meant_however_it_is_written(bare_lab: Lab) -> None:
    both = conf("both", pool("10.61.0.0/24", "fd00:61::/64"))
    Caller(bare_lab).add(both, "c1", bare_lab.netns("c1"))
    for word in ("fd00:61::1", "FD00:61:0:0::1", "fd00:0061:0000:0000:0000:0000:0000:0001", "10.61.0.1"):
        assert [e["container"] for e in endpoints(bare_lab, word)] == ["c1"], word
