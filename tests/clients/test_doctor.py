"""`calico-rkt doctor` has nothing to say of a host where a runtime's containers are well, and says what is well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.support.attaching import network
from tests.clients.support.containerd import containerd
from tests.clients.support.cri import SECOND, cri
from tests.clients.support.crictl import crictl
from tests.clients.support.lab import IDLE, Lab, conf, environment, pool
from tests.clients.support.podman import Podman
from tests.clients.support.whole_host import CALICO, doctor, findings, make_whole

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB, BACK = conf("web", pool("10.1.0.0/24")), conf("back", pool("10.2.0.0/24"))
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}
OVERRIDE = "network: web\ningress:\n  - {action: Allow, protocol: TCP, destination: {ports: [8080]}}\n  - default\n"


@pytest.fixture
def host(bare_lab: Lab, binary: Path) -> Lab:
    """All of ours is installed, and an override opens a port."""
    make_whole(bare_lab, binary)
    bare_lab.override("web", OVERRIDE)
    return bare_lab


def is_well(lab: Lab, env: dict[str, str] | None = None) -> list[str]:
    """It is, and what doctor says of it."""
    assert findings(lab, env) == []
    status, said, err = doctor(lab, "-v", env=env)
    assert (status, err) == (0, "")
    assert said.endswith("checks found nothing\n")
    return said.splitlines()


def test_podman(host: Lab) -> None:
    podman = Podman(host)
    for each in (WEB, BACK):
        podman.network(each, PORTMAP)
    podman.run("web", "c1", *IDLE)
    said = is_well(host, podman.environment)
    assert f"well: podman reads *.conflist of {podman.networks}" in said
    assert "well: podman finds every plugin of its confs in /opt/cni/bin" in said


@pytest.mark.slow
def test_attach(host: Lab) -> None:
    for each in (WEB, BACK):
        network(host, each, PORTMAP)
    for name, where in (("c1", "web"), ("c2", "back")):
        host.netns(name)
        host.out(CALICO, "attach", where, name)
    assert "well: the table is as recorded and published" in is_well(host)


@pytest.mark.slow
def test_containerd_s_ctr(host: Lab) -> None:
    with containerd(host) as runtime:
        runtime.run(WEB, "c1", *IDLE)
        is_well(host)


@pytest.mark.slow
def test_containerd_s_cri(host: Lab) -> None:
    network(host, WEB, PORTMAP)
    network(host, BACK, folder=SECOND)
    with cri(host, crictl()) as (pods, _):
        host.write("/etc/containerd/config.toml", host.path("/run/lab/cri/config.toml").read_text())
        pods.run("web")
        pods.run("back", handler="back")
        said = is_well(host)
        assert f"well: containerd reads *.conf, *.conflist, *.json of /etc/cni/net.d, {SECOND}" in said


OTHER = "/etc/calico-rkt/team"
OPEN = {
    "folder": OTHER,
    "file": f"{OTHER}/web.yaml",
    "conf": "/etc/cni/net.d/10-web.conflist",
    "confs": "/etc/cni/net.d",
}


@pytest.mark.parametrize("what", OPEN)
def test_what_anybody_may_write_is_told_where_a_conf_names_it_too(host: Lab, what: str) -> None:
    network(host, WEB | {"profiles_dir": OTHER}, PORTMAP)
    host.write(f"{OTHER}/web.yaml", OVERRIDE)
    host.out("rm", "/etc/calico-rkt/profiles/web.yaml")
    is_well(host)
    host.out("chmod", "o+w", OPEN[what])
    (found,) = findings(host)
    assert (found["code"], found["path"], found["fixable"]) == ("CR931", OPEN[what], True)
    assert doctor(host, "--fix", "--yes")[0] == 0
    is_well(host)


def test_a_user_without_root_is_told(host: Lab) -> None:
    done = host.run("setpriv", "--reuid=65534", "--clear-groups", CALICO, "doctor", env=environment())
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"sudo calico-rkt doctor" in done.stderr


def test_its_words_are_what_a_person_needs(host: Lab) -> None:
    network(host, WEB, PORTMAP)
    host.write("/etc/containers/containers.conf", '[network]\nnetwork_backend = "netavark"\n')
    status, said, _ = doctor(host)
    assert status == 1
    head = (
        "/etc/containers/containers.conf:2: CR901 error: podman's network backend is netavark, which reads no CNI conf "
        "(network_backend says netavark)"
    )
    assert said.splitlines() == [
        head,
        "    so: podman knows none of web: `podman run --network` says network not found",
        "    cure: sed -i '2s/.*/network_backend = \"cni\"/' /etc/containers/containers.conf",
        "",
        "1 finding; calico-rkt rule CODE says more",
    ]
    cure = json.loads(doctor(host, "--format", "json")[1])["findings"][0]["cure"]
    host.out("sh", "-c", cure)
    assert findings(host) == []
