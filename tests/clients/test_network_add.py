"""`calico-rkt init` and `network add`: what they write carries real containers, and is never in somebody's way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.clients.support.attaching import CALICO, FOLDER, address, calico
from tests.clients.support.containerd import containerd
from tests.clients.support.lab import IDLE, OVERRIDES, PLUGINS, SERVE, Lab, environment, fetching, reached, until
from tests.clients.support.podman import Podman
from tests.clients.support.readme import commands
from tests.clients.support.rkt import Rkt

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

KEPT = "/etc/calico-rkt/networks"


def refusal(lab: Lab, *argv: str) -> str:
    """What is said by a call that is refused, and has changed nothing."""
    before = files(lab)
    done = lab.run(CALICO, *argv, env=environment())
    words = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 2, words
    assert "Traceback" not in words
    assert files(lab) == before
    return words


def files(lab: Lab) -> dict[str, bytes]:
    """What confs and overrides there are, links as what they lead to."""
    folders = ("/etc/cni", "/etc/rkt", "/etc/calico-rkt")
    found = (p for folder in folders for p in sorted(lab.path(folder).rglob("*")) if p.is_file())
    return {str(p.relative_to(lab.root)): p.read_bytes() for p in found}


def opens(lab: Lab, fetches: Callable[[int], bool]) -> None:
    """Closed as it was written; open at one port once the first rule of its comments is used, and applied."""
    assert not fetches(1), "closed as it is written"
    override = lab.path(f"{OVERRIDES}/web.yaml")
    rule = re.sub(r"(?m)^  # (?=[- ] )", "  ", override.read_text().partition("  #\n")[0].replace("OTHER", "back"))
    override.write_text(rule + override.read_text().partition("  #\n")[2])
    assert calico(lab, "check").endswith("2 networks checked: nothing to say\n")
    assert "newly allowed:\n  back -> web: TCP port 8080\n" in calico(lab, "apply", "--yes")
    assert fetches(30), "open now"


def test_podman_s_containers_are_in_what_was_written(bare_lab: Lab) -> None:
    lab = bare_lab
    said = calico(lab, "init", "--for", "podman", "--yes")
    assert "podman run --network web" in said
    calico(lab, "network", "add", "back", "10.92.0.0/24", "--for", "podman", "--yes")
    confs = {p.name: p.read_bytes() for p in lab.path(FOLDER).iterdir()}
    assert sorted(confs) == ["10-web.conflist", "20-back.conflist"]
    assert {p.name: p.read_bytes() for p in lab.path(KEPT).iterdir()} == confs
    lab.out("mkdir", "-p", "/run/lab/podman")
    lab.out("ln", "-s", FOLDER, Podman.networks)
    podman = Podman(lab)
    podman.run("web", "server", *SERVE)
    podman.run("back", "client", *IDLE)
    server = podman("inspect", "-f", "{{.NetworkSettings.Networks.web.IPAddress}}", "server").stdout.decode().strip()
    assert server.startswith("10.91.0.")
    opens(lab, lambda wait: reached(podman.execute("client", *fetching(server, 8080, wait))))
    for name in ("server", "client"):
        podman.stop(name)
    assert lab.left() == {}
    podman("network", "rm", "web")
    assert f"put back {FOLDER}/10-web.conflist" in calico(lab, "restore")


def test_podman_s_backend_is_told_until_it_is_the_one_that_calls_us(bare_lab: Lab) -> None:
    lab = bare_lab
    conf = lab.write("/run/lab/containers.conf", "[network]\nnetwork_backend = 'netavark'\n")
    named = environment({"CONTAINERS_CONF": conf})
    first = lab.run(CALICO, "init", "--for", "podman", "--yes", env=named).stdout.decode()
    (line,) = (line for line in first.splitlines() if "network_backend" in line)
    lab.out("sh", "-euc", line)
    second = lab.run(CALICO, "network", "add", "b", "10.92.0.0/24", "--for", "podman", "--yes", env=named)
    assert (second.returncode, b"network_backend" in second.stdout) == (0, False)
    before = ("env", "PATH=/nowhere", CALICO)
    bare = lab.out(*before, "network", "add", "c", "10.93.0.0/24", "--for", "podman", "--yes")
    assert next(line for line in commands("podman").splitlines() if "network_backend" in line) in bare


def test_ctr_s_containers_are_in_what_was_written_and_in_a_second_network_by_attach(bare_lab: Lab) -> None:
    lab = bare_lab
    calico(lab, "init", "--for", "containerd", "--yes")
    said = calico(lab, "network", "add", "back", "10.92.0.0/24", "--for", "containerd", "--yes")
    line = re.search(r"^    (ip netns add c1 && )calico-rkt (attach back c1)", said, re.MULTILINE)
    assert line
    with containerd(lab) as runtime:
        runtime.run_here("server", *SERVE)
        lab.netns("c1")
        address(lab, *line[2].split()[1:])
        server = (
            runtime.execute("server", "ip", "-4", "-o", "address", "show", "dev", "eth0").stdout.decode().split()[3]
        )
        assert server.startswith("10.91.0.")
        until(lambda: lab.fetch(server.partition("/")[0], 9090), "the host reaches its containers")
        opens(lab, lambda wait: lab.fetch(server.partition("/")[0], 8080, inside="c1", wait=wait))
        runtime.stop("server")
    calico(lab, "detach", "back", "c1")
    assert lab.left() == {}


def test_rkt_reads_what_was_written_for_it(bare_lab: Lab) -> None:
    lab = bare_lab
    calico(lab, "init", "shop", "--for", "rkt", "--yes")
    stage0 = Rkt(lab)
    pod = stage0.pod()
    (net,) = stage0.setup(pod, lab.path("/etc/rkt/net.d/10-shop.conf").read_bytes())
    assert net.ip.startswith("10.91.0.")
    stage0.collect(pod)
    assert (pod.failures, lab.left()) == ([], {})


def test_a_second_network_of_the_cri_is_a_handler_whose_lines_are_printed(bare_lab: Lab) -> None:
    """Pods in both are in test_cri.py and test_readme.py."""
    lab = bare_lab
    assert "[plugins" not in calico(lab, "network", "add", "web", "10.91.0.0/24", "--for", "cri", "--yes")
    said = calico(lab, "network", "add", "back", "10.92.0.0/24", "--for", "cri", "--yes")
    assert next(line for line in commands("containerd's CRI").splitlines() if "[plugins" in line) in said
    assert "crictl runp -r back" in said
    assert str(lab.path("/etc/cni/back.d/20-back.conflist").readlink()) == "../net.d/20-back.conflist"
    assert len(calico(lab, "ls", "--format", "json")) > 2
    assert "back" in calico(lab, "matrix"), "where reviews find it"


def test_nothing_is_written_by_who_only_looks_or_is_asked_without_a_terminal(bare_lab: Lab) -> None:
    lab = bare_lab
    done = lab.run(CALICO, "init", "--for", "cri", "--dry-run", env=environment())
    assert done.returncode == 1
    assert '"subnet": "10.91.0.0/24"' in done.stdout.decode()
    assert "--yes does not ask" in refusal(lab, "init", "--for", "cri")


def test_what_is_there_stays_and_who_is_in_the_way_is_named(bare_lab: Lab) -> None:
    """Ten wrong calls of somebody who has a network already."""
    lab = bare_lab
    calico(lab, "init", "web", "10.91.0.0/24", "--for", "podman", "--yes")
    lab.write(
        f"{FOLDER}/87-bridge.conflist",
        '{"name": "b", "plugins": [{"type": "bridge", "ipam": {"subnet": "10.88.0.0/16"}}]}',
    )
    if lab.path("/etc/containers").is_symlink():  # the machine's own
        lab.path("/etc/containers").unlink()
    lab.write("/etc/containers/networks/p.json", '{"name": "p", "subnets": [{"subnet": "10.89.0.0/24"}]}')
    lab.write("/etc/containers/networks/deep.json", '{"a":' * 9999)
    lab.write(f"{FOLDER}/50-bad.conf", '{"name": "bad", "type": "calico", ')
    overlap = "overlaps 10.88.0.0/16, which is in /etc/cni/net.d/87-bridge.conflist"
    there = "'web' is there already: /etc/cni/net.d/10-web.conflist"
    for name, subnet, words in (
        ("web", "10.92.0.0/24", there),
        ("bad", "10.92.0.0/24", "50-bad.conf can't be read, and names the network 'bad'"),
        ("back", "10.91.0.0/16", "10.91.0.0/16 overlaps 10.91.0.0/24, which is in /etc/cni/net.d"),
        ("back", "10.88.7.0/24", overlap),
        ("back", "10.89.0.0/24", "10.92.0.0/24 is free"),
        ("back", "192.0.2.0/25", "which this host has on out0"),
        ("-x", "10.92.0.0/24", "arguments"),
        ("a b", "10.92.0.0/24", "'a b' can't be the name of a network"),
        ("../b", "10.92.0.0/24", "can't be the name of a network"),
        ("", "10.92.0.0/24", "can't be the name of a network"),
        ("outside", "10.92.0.0/24", "a network can't be called 'outside'"),
        ("10.0.0.1", "10.92.0.0/24", "in every review that is an address"),
        ("none", "10.92.0.0/24", "podman's --network none means something else"),
        ("x" * 64, "10.92.0.0/24", "63 characters at the most"),
    ):
        assert words in refusal(lab, "network", "add", name, subnet, "--for", "podman", "--yes"), name
    assert "this host has a network already: web" in refusal(lab, "init", "--for", "cri", "--yes")
    assert "choose from" in refusal(lab, "network", "add", "back", "10.92.0.0/24", "--for", "docker", "--yes")
    assert "choose from" in refusal(lab, "network", "remove", "web", "10.91.0.0/24")


def test_an_override_of_the_network_that_is_there_counts_and_stays(bare_lab: Lab) -> None:
    lab = bare_lab
    lab.override("other-name", "network: web\n")
    said = calico(lab, "network", "add", "web", "10.91.0.0/24", "--for", "attach", "--yes")
    assert f"stays as it is: {OVERRIDES}/other-name.yaml" in said
    assert not lab.path(f"{OVERRIDES}/web.yaml").exists()
    lab.override("back", "network: web2\n")
    assert f"{OVERRIDES}/back.yaml is there already" in refusal(
        lab, "network", "add", "back", "10.92.0.0/24", "--for", "attach", "--yes"
    )


def test_what_fails_half_way_leaves_nothing(bare_lab: Lab) -> None:
    lab = bare_lab
    lab.write(KEPT, "in the way")
    assert f"{KEPT}/10-web.conflist can not be written" in refusal(lab, "init", "--for", "podman", "--yes")
    assert files(lab) == {KEPT.lstrip("/"): b"in the way"}


def test_of_those_who_add_the_same_addresses_at_once_one_does(bare_lab: Lab) -> None:
    add = f"{PLUGINS}/calico network add n$n 10.50.0.0/24 --for attach --yes"
    said = bare_lab.out("sh", "-c", f"for n in 1 2 3 4; do ({add} >/dev/null 2>&1; echo $?) & done; wait").split()
    assert sorted(said) == ["0", "2", "2", "2"]
    assert len(list(bare_lab.path("/etc/cni/net.d").iterdir())) == 1


def test_nobody_but_root_keeps_who_adds_a_network_waiting(bare_lab: Lab) -> None:
    """Whoever may read a folder may lock it."""
    nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups"
    holding = f"for folder in /etc /run; do {nobody} flock $folder sleep 1000 & done; wait"
    process = subprocess.Popen(bare_lab.command("sh", "-c", holding), env=environment(), start_new_session=True)
    try:
        for folder in ("/etc", "/run"):
            until(lambda f=folder: bare_lab.run("flock", "-n", f, "true").returncode == 1, f"{folder} is held")
        bare_lab.out(CALICO, "network", "add", "web", "10.50.0.0/24", "--for", "attach", "--yes")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)
