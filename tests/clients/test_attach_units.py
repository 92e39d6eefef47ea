"""The units of docs/runtimes.md, started and stopped by a systemd that is PID 1 of a machine of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.clients.support.attaching import CALICO, FOLDER, network
from tests.clients.support.lab import Lab, conf, environment, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients, pytest.mark.slow]

PAGE = Path(__file__).parents[2] / "docs" / "runtimes.md"
MACHINE = "/run/lab/machine"
UNITS = f"{MACHINE}/etc/systemd/system"
# Each answer has a line that says whose it is. The machine has no address but this one.
TRY = """
ip address add 192.0.2.1/32 dev lo
ask() { printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 30 "$1" 8080 | tail -n 1; }
echo "first: $(systemctl is-active netns@c1 page | xargs) $(ask 10.1.0.1)"
systemctl stop netns@c1
echo "stopped: $(systemctl is-active netns@c1 page | xargs) $(ls /run/netns /run/calico-rkt/attached | xargs)"
systemctl start page
echo "again: $(systemctl is-active netns@c1 page | xargs) $(ask 10.1.0.2)"
systemctl stop netns@c1
echo "left: $(ip -br link | grep -c crk) $(ls /run/netns | wc -l)"
systemctl --force poweroff
"""
TRYING = """[Unit]
Wants=page.service
After=page.service
[Service]
Type=oneshot
StandardOutput=tty
TTYPath=/dev/console
ExecStart=/bin/sh /try
"""


def documented() -> Mapping[str, str]:
    """The units of the page, by what stands in the line above each."""
    blocks = re.findall(r"(?m)^    # (netns@\.service|a service)\n((?:    [^#\n].*\n)+)", PAGE.read_text())
    return {name: re.sub(r"(?m)^    ", "", text).replace("=calico-rkt ", f"={CALICO} ") for name, text in blocks}


@pytest.fixture
def machine(bare_lab: Lab) -> Lab:
    """A root file system of links to this machine's /usr, with the units of the page and one that serves one."""
    root = bare_lab.path(MACHINE)
    for folder in ("etc/systemd/system", "opt/cni/bin", "var", "www", "usr"):
        (root / folder).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for name, text in (
        ("etc/os-release", "ID=debian\n"),
        ("etc/machine-id", ""),
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
        ("etc/group", "root:x:0:\n"),
        ("www/index.html", "reached\n"),
        ("try", TRY),
    ):
        bare_lab.write(f"{MACHINE}/{name}", text)
    bare_lab.out("cp", "-L", "/etc/protocols", f"{MACHINE}/etc/protocols")
    bare_lab.out("cp", "-L", CALICO, f"{MACHINE}{CALICO}")
    network(bare_lab, conf("web", pool("10.1.0.0/24")), folder=f"{MACHINE}{FOLDER}")
    units = documented()
    bare_lab.write(f"{UNITS}/netns@.service", units["netns@.service"])
    serve = "ExecStart=/bin/busybox httpd -f -p 8080 -h /www\n"
    bare_lab.write(f"{UNITS}/page.service", units["a service"] + serve)
    bare_lab.write(f"{UNITS}/try.service", TRYING)
    return bare_lab


def test_a_unit_has_a_network_for_as_long_as_its_namespace_s_unit_runs(machine: Lab) -> None:
    done = machine.run(
        *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "-D", MACHINE, "-M", "units", "--boot"),
        *("--private-network", "--bind-ro=/usr", "systemd.unit=try.service", "systemd.show_status=false"),
        env=environment(),
    )
    said = done.stdout.decode()
    answers = dict(re.findall(r"(?m)^(first|stopped|again|left): (.*?)\s*$", said))
    assert answers == {
        "first": "active active reached",
        "stopped": "inactive inactive /run/calico-rkt/attached: /run/netns:",
        "again": "active active reached",
        "left": "0 0",
    }, said
