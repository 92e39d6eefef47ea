"""`calico-rkt doctor` finds each planted fault by itself, and nothing else; what --fix may cure is gone afterwards."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.support.lab import PUBLISHED, Lab
from tests.clients.support.plants import BACK, FAULTS, LIVE, another_build, commanded, furnish, planted
from tests.clients.support.whole_host import CALICO, doctor, findings, make_whole

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

QUICK = ("podman chose netavark", "the table is gone")
_numbers = itertools.count()


@pytest.fixture(scope="module")
def host(binary: Path) -> Iterator[Lab]:
    """A host with a container in each network, where doctor finds nothing."""
    lab = Lab(binary, f"calico-rkt-lab-{os.getpid()}-doctor-{next(_numbers)}")
    try:
        make_whole(lab, binary)
        furnish(lab)
        for name, network in (("c1", "web"), ("c2", "back")):
            lab.netns(name)
            lab.out(CALICO, "attach", network, name, "-C", "/etc/cni/net.d", "-C", "/etc/cni/back.d")
        assert findings(lab) == []
        yield lab
    finally:
        lab.close()


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in FAULTS], ids=lambda n: n
)
def test_a_fault_is_found_alone_and_cured(host: Lab, name: str) -> None:
    code, plant, under = FAULTS[name]
    with planted(host, plant):
        found = findings(host, under=under)
        assert {f["code"] for f in found} == {code}, found
        assert all(f["message"] and f["follows"] and f["cure"] for f in found)
        if all(f["fixable"] for f in found):
            assert doctor(host, "--fix", "--yes")[0] == 0
            attached(host)
    assert findings(host) == [], "the host is as it was"


def attached(host: Lab) -> None:
    """A container gets into a network."""
    host.netns("tried")
    try:
        host.out(CALICO, "attach", "web", "tried")
        host.out(CALICO, "detach", "web", "tried")
    finally:
        host.out("ip", "netns", "del", "tried")


@pytest.mark.slow
def test_what_comes_to_light_by_a_cure_is_cured_too(host: Lab) -> None:
    """Where others may write the records nobody knows what is attached, and so not that the table is gone."""
    names = ("others may write the state", "the table is gone", "forwarding is off", "a conf that prune took")
    with contextlib.ExitStack() as stack:
        for name in names[1:]:
            stack.enter_context(planted(host, FAULTS[name][1]))
        with planted(host, FAULTS[names[0]][1]):
            assert {f["code"] for f in findings(host)} == {"CR724", "CR931"}
            status, out, _ = doctor(host, "--fix", "--yes")
            assert (status, "failed" in out) == (0, False), out
            attached(host)


RULE_TOO_MANY = "a rule too many"


@pytest.mark.parametrize(
    "files", ["a profile is stale", "an override does not compile"], ids=("stale", "does not compile")
)
def test_files_that_say_something_else_hide_no_edit_of_the_kernel_s_rules(host: Lab, files: str) -> None:
    with planted(host, FAULTS[files][1]), planted(host, FAULTS[RULE_TOO_MANY][1]):
        found = findings(host)
        assert {f["code"] for f in found} == {FAULTS[files][0], "CR941"}, found
        assert "out-web" in next(f["message"] for f in found if f["code"] == "CR941")
    assert findings(host) == []


def test_rules_of_another_version_than_the_published_one_are_found(host: Lab) -> None:
    """Of a profile that somebody put back from a backup, with the files that it was made of."""
    names = ("/etc/calico-rkt/profiles/web.yaml", f"{PUBLISHED}/web.yaml")
    was = {name: host.path(name).read_bytes() for name in names}
    host.out("cp", "-a", names[1], "/run/lab/older")
    host.write(names[0], was[names[0]].replace(b"Allow", b"Deny"))
    host.out(CALICO, "apply", "--yes", "-C", LIVE, "-C", BACK)
    for name in names:
        host.write(name, was[name])
    found = findings(host)
    assert [f["code"] for f in found] == ["CR941"], found
    assert doctor(host, "--fix", "--yes")[0] == 0


def test_a_host_end_of_nobody_is_not_for_a_restore(host: Lab) -> None:
    name = "crkffffffffffff"
    make = (
        f"ip link add {name} type veth peer lost0; ip link set {name} alias 'calico-rkt 0123456789abcdef eth0 web c9'"
    )
    with planted(host, commanded(make, f"ip link del {name}")):
        found = findings(host)
        assert [(f["code"], f["fixable"], f["cure_is_command"]) for f in found] == [("CR941", False, False)], found
        assert "restore puts right" not in host.run(CALICO, "status").stdout.decode()


def test_another_s_route_to_an_endpoint_is_not_for_a_restore(host: Lab) -> None:
    with planted(host, commanded("ip route prepend 10.1.0.1 dev out0", "ip route del 10.1.0.1 dev out0")):
        assert host.run(CALICO, "restore").returncode == 1
        found = findings(host)
        assert [(f["code"], f["fixable"], f["cure_is_command"]) for f in found] == [("CR941", False, False)], found
        assert "the host's route to 10.1.0.1 leads another way" in found[0]["message"]


def test_an_update_enables_no_unit_that_somebody_disabled(host: Lab) -> None:
    timer = "calico-rkt-attest.timer"

    def enabled(unit: str) -> str:
        return host.run("systemctl", "--root=/", "is-enabled", unit).stdout.decode().strip()

    with planted(host, commanded(f"systemctl disable {timer}", f"systemctl enable {timer}")):
        host.out("cp", CALICO, "/run/lab/was")
        with planted(host, another_build("/run/lab/update")):
            assert "systemctl enable" not in host.out("/run/lab/update", "install", "--yes")
            assert (enabled(timer), enabled("calico-rkt-agent.socket")) == ("disabled", "enabled")
            host.out("/run/lab/was", "install", "--yes")
        host.out("rm", f"/etc/systemd/system/{timer}")
        assert f"systemctl enable {timer}\n" in host.out("/run/lab/was", "install", "--yes")
        assert enabled(timer) == "enabled"


def test_of_two_builds_neither_is_thrown_away_unasked(host: Lab) -> None:
    """The other one may be the newer."""
    with planted(host, another_build("/opt/cni/bin/calico")):
        (found,) = findings(host)
        assert (found["code"], found["fixable"], found["cure_is_command"]) == ("CR962", False, False), found
        assert f"{CALICO} install, or /opt/cni/bin/calico install" in found["cure"]


def test_the_cure_of_a_loose_rp_filter_makes_no_other_interface_strict(host: Lab) -> None:
    """Where packets come by another way than they go, a strict one drops them."""
    with planted(host, FAULTS["rp_filter is loose"][1]):
        (found,) = findings(host)
        host.out("sh", "-euc", found["cure"])
        assert findings(host) == []
        kept = host.out("sh", "-c", "cd /proc/sys/net/ipv4/conf; grep . all/rp_filter out0/rp_filter crk*/rp_filter")
        assert {(name.partition("/")[0][:3], value) for name, _, value in (x.partition(":") for x in kept.split())} == {
            ("all", "0"),
            ("out", "2"),
            ("crk", "1"),
        }


def test_without_a_terminal_nothing_is_done_unasked(host: Lab) -> None:
    name = "the table is gone"
    with planted(host, FAULTS[name][1]):
        status, out, err = doctor(host, "--fix")
        assert (status, "--fix does:\n    calico-rkt restore\n" in out) == (2, True)
        assert "There is no terminal to ask on" in err
        assert doctor(host, "--fix", "--dry-run")[0] == 1
        assert {f["code"] for f in findings(host)} == {"CR940"}


def test_it_makes_no_file(bare_lab: Lab) -> None:
    lab = bare_lab
    done = lab.run("/opt/cni/bin/calico", "doctor", "-v")
    assert done.returncode == 0, done.stdout
    for folder in ("/run/calico-rkt", "/var/lib/calico-rkt", "/var/log/calico-rkt"):
        assert not lab.path(folder).exists()


@pytest.mark.parametrize("argv", [["--yes"], ["--dry-run"], ["--fix", "--format", "json"], ["-C", "/nowhere"]])
def test_bad_usage_is_2_and_says_what_to_do(bare_lab: Lab, argv: list[str]) -> None:
    done: subprocess.CompletedProcess[bytes] = bare_lab.run("/opt/cni/bin/calico", "doctor", *argv)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"calico-rkt: ")
