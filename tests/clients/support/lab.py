"""A plugin's file in, a throw-away host out: namespaces of its own, with folders that nobody else sees."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from tests import state_log
from tests.leftovers import reap_entered, remove_cgroups

HOST_V4, OUTSIDE_V4 = "192.0.2.1", "192.0.2.9"
HOST_V6, OUTSIDE_V6 = "2001:db8:ffff::1", "2001:db8:ffff::9"
PLUGINS = "/opt/cni/bin"
REFERENCE_PLUGINS = "/usr/lib/cni"
STATE = "/run/calico-rkt/state.log"
OVERRIDES = "/etc/calico-rkt/profiles"
PUBLISHED = "/var/lib/calico-rkt/profiles"
PATIENCE = 90.0
"""Seconds that a thing which has to happen may take on a slow machine."""
HANGS = 300.0
"""Seconds after which a command that should end by itself is an error."""

OUTSIDE_NETWORK = """\
ip link set lo up
ip netns add outside
ip link add out0 type veth peer name out0 netns outside
ip -n outside link set lo up
ip address add 192.0.2.1/24 dev out0
ip address add 2001:db8:ffff::1/64 dev out0 nodad
ip -n outside address add 192.0.2.9/24 dev out0
ip -n outside address add 2001:db8:ffff::9/64 dev out0 nodad
echo 0 >/proc/sys/net/ipv6/conf/out0/accept_dad
ip netns exec outside sh -c 'echo 0 >/proc/sys/net/ipv6/conf/out0/accept_dad'
ip link set out0 up
ip -n outside link set out0 up
ip -n outside route add default via 192.0.2.1
ip -n outside route add default via 2001:db8:ffff::1
"""
"""A shell's part: the namespace `outside`, where the host's uplink ends; HOST_V4 and OUTSIDE_V4 are its ends.

Its link-local addresses are there at once, too: until they are, some two seconds, Linux asks for no neighbour of what
it forwards.
"""

# The shell is PID 1 of a PID namespace: whatever a runtime leaves running dies with it. It reads its outer
# PID before /proc becomes the namespace's own. /etc keeps the host's files as links, beside folders of ours. All
# else of the machine is for reading alone, but for its devices and for temporary files, which tests hand over.
_BUILD = (
    """
set -eu
exec 3<&0
read -r outer rest </proc/self/stat
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mkdir -p /run/lab/etc /run/lab/cgroup /run/lab/rootfs /run/lock /run/netns
mount --rbind /sys/fs/cgroup /run/lab/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/lab/cgroup /sys/fs/cgroup
mount --rbind /etc /run/lab/etc
mount -t tmpfs tmpfs /etc
for file in /run/lab/etc/* /run/lab/etc/.[!.]*; do
    case ${file##*/} in
        cni | calico-rkt | rkt) ;;
        *) ln -s "$file" "/etc/${file##*/}" ;;
    esac
done
for folder in /opt /srv /var/lib /var/log; do mount -t tmpfs tmpfs "$folder"; done
mkdir -p /etc/cni/net.d /etc/rkt/net.d /etc/calico-rkt/profiles /opt/cni/bin
for folder in /tmp "${TMPDIR:-/tmp}"; do mount --bind "$folder" "$folder"; done
while read -r _ at _; do
    case $at in
        /run/lab/etc*) ;;
        /etc | /opt | /srv | /var/lib | /var/log) continue ;;
        /dev* | /proc* | /run* | /sys* | /tmp* | "${TMPDIR:-/tmp}"*) continue ;;
    esac
    mount -o remount,bind,ro "$at" || ! mountpoint -q "$at" # a mount may hide another
done </proc/self/mounts
"""
    + OUTSIDE_NETWORK
    + """echo "$outer"
cat <&3 >/dev/null
"""
)


class Lab:
    """One host. Its end comes with close(), and also when the test process dies: its stdin closes then."""

    def __init__(self, plugin: Path, name: str) -> None:
        self._hold(name, "unshare", "-nmpf", "--propagation", "private", "--kill-child", "sh", "-c", _BUILD)
        for reference in Path(REFERENCE_PLUGINS).iterdir():
            self.path(PLUGINS, reference.name).symlink_to(reference)
        shutil.copy(plugin, self.path(PLUGINS, "calico"))
        self.make_rootfs("/run/lab/rootfs")

    def _hold(self, name: str, *builder: str) -> None:
        """Start what makes the host and keeps it: a program that says its PID when all is there, and waits on stdin."""
        self.name = name
        self._started: list[subprocess.Popen[bytes]] = []
        pipe = subprocess.PIPE
        self._holder = subprocess.Popen(builder, stdin=pipe, stdout=pipe, stderr=pipe)
        assert self._holder.stdout is not None
        line = self._holder.stdout.readline()
        if not line:
            _, problem = self._holder.communicate()
            raise RuntimeError(f"no namespaces for a lab: {problem.decode()}")
        self.pid = int(line)
        self.root = Path(f"/proc/{self.pid}/root")

    def make_rootfs(self, folder: str) -> None:
        """busybox as the whole root file system of containers, in a folder of the host."""
        root = self.path(folder)
        for part in ("bin", "proc", "sys", "dev", "etc", "tmp", "run", "www"):
            (root / part).mkdir(parents=True)
        shutil.copy(self.path("/bin/busybox"), root / "bin" / "busybox")
        for applet in ("cat", "echo", "httpd", "ip", "nc", "ping", "sh", "sleep", "wget"):
            (root / "bin" / applet).symlink_to("busybox")
        (root / "www" / "index.html").write_text("reached\n")

    def close(self) -> None:
        """End PID 1 of the namespace, and with it all that ran here; drop its empty cgroups."""
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        for process in self._started:
            process.send_signal(signal.SIGCONT)  # who entered with what was stopped here stopped with it
        deadline = time.monotonic() + PATIENCE
        while self._holder.poll() is None and time.monotonic() < deadline:
            reap_entered()
            time.sleep(0.01)
        self._holder.kill()
        self._holder.wait(PATIENCE)
        for process in self._started:
            process.wait(PATIENCE)
        for pipe in (self._holder.stdout, self._holder.stderr):
            if pipe is not None:
                pipe.close()
        remove_cgroups(self.name)

    def path(self, *parts: str) -> Path:
        """A path of the lab, to be read and written from the test."""
        return self.root.joinpath(*(part.lstrip("/") for part in parts))

    def write(self, path: str, text: str | bytes) -> str:
        """Write a file in the lab, with its folders; gives the path back."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def command(self, *argv: str, cwd: str = "/", inside: str = "") -> list[str]:
        """The argument list that runs argv in the lab, or in the lab's network namespace `inside`."""
        enter = ["nsenter", "-t", str(self.pid), "-n", "-m", "-p", f"--wdns={cwd}", "--"]
        return [*enter, *(("ip", "netns", "exec", inside) if inside else ()), *argv]

    def run(
        self,
        *argv: str,
        cwd: str = "/",
        inside: str = "",
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run to the end, whatever the exit status. env is the whole environment when given."""
        return subprocess.run(
            self.command(*argv, cwd=cwd, inside=inside),
            input=stdin,
            capture_output=True,
            env=env,
            check=False,
            timeout=HANGS,
        )

    def out(self, *argv: str, inside: str = "") -> str:
        """stdout of a command that has to succeed."""
        done = self.run(*argv, inside=inside)
        assert done.returncode == 0, f"{argv}: {done.stderr.decode()}{done.stdout.decode()}"
        return done.stdout.decode()

    def start(
        self, *argv: str, env: Mapping[str, str] | None = None, log: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start in the background; the lab's end is its end at the latest. Its words go to log, else to the test's."""
        process = subprocess.Popen(self.command(*argv), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        self._started.append(process)
        return process

    def netns(self, name: str) -> str:
        """Make a network namespace as runtimes do (a bind mount of an nsfs file); its path."""
        self.out("ip", "netns", "add", name)
        return f"/var/run/netns/{name}"

    def links(self, inside: str = "") -> set[str]:
        """Names of all links."""
        return {link["ifname"] for link in json.loads(self.out("ip", "-j", "link", inside=inside))}

    def override(self, network: str, text: str) -> None:
        self.write(f"{OVERRIDES}/{network}.yaml", text)

    def fetch(self, address: str, port: int, inside: str = "", wait: int = 10) -> bool:
        """Whether the host (or `inside`) gets the page that a container serves at address:port."""
        return reached(self.run("/bin/busybox", *fetching(address, port, wait), inside=inside))

    def left(self) -> dict[str, list[str]]:
        """What attachments left behind in this host, by kind; empty when all is clean."""
        found = {
            "links": sorted(name for name in self.links() if name.startswith(("crk", "cali"))),
            "routes": [r for family in ("-4", "-6") for r in self._routes(family)],
            "elements": self._elements(),
            "rows": self._rows(),
            "host-local": self._host_local(),
        }
        return {kind: things for kind, things in found.items() if things}

    def _routes(self, family: str) -> list[str]:
        routes = self.out("ip", family, "route", "show", "table", "all").splitlines()
        return [r for r in routes if " crk" in r or " cali" in r]

    def _elements(self) -> list[str]:
        """Elements of sets and maps that name an interface or an address; what a network has is no leftover."""
        done = self.run("nft", "-j", "list", "table", "inet", "calico_rkt")
        if done.returncode != 0:
            return []
        return [
            f"{thing[kind]['name']}: {json.dumps(element)}"
            for thing in json.loads(done.stdout)["nftables"]
            for kind in thing.keys() & {"set", "map"}
            for element in thing[kind].get("elem", [])
            if not _is_range(element) and not _is_network(element)
        ]

    def _rows(self) -> list[str]:
        """What this host has recorded of attachments and their addresses."""
        state = self.path(STATE)
        return state_log.rows(state.read_bytes()) if state.exists() else []

    def _host_local(self) -> list[str]:
        """Addresses that the reference host-local plugin still holds (delegated IPAM)."""
        folder = self.path("/var/lib/cni/networks")
        return [str(p) for p in sorted(folder.glob("*/*")) if p.name[0].isdigit()]

    def flows(self, address: str) -> list[str]:
        """Conntrack entries from or to an address."""
        family = "ipv6" if ":" in address else "ipv4"
        return [
            line
            for direction in ("-s", "-d")
            for line in self.out("conntrack", "-L", "-f", family, direction, address).splitlines()
        ]


def _is_network(element: Any) -> bool:
    """Whether a map's element leads from a device group, and so from no single endpoint, to a network's chain."""
    return isinstance(element, list) and isinstance(element[0], int)


def _is_range(element: Any) -> bool:
    """Whether a set's element (libnftables-json) is a prefix or an interval, and so no single endpoint's."""
    if isinstance(element, dict) and "elem" in element:
        element = element["elem"]["val"]
    return isinstance(element, dict) and ("prefix" in element or "range" in element)


SERVE = ("/bin/sh", "-c", "httpd -p 8080 -h /www && httpd -f -p 9090 -h /www")
"""What a container runs to serve one page at two ports."""
IDLE = ("/bin/sleep", "1000")


def fetching(address: str, port: int, wait: int) -> tuple[str, ...]:
    """A busybox applet's arguments that ask for the page; Debian's `busybox wget -T` crashes, so this is nc."""
    return "sh", "-c", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w {wait} {address} {port}"


def reached(done: subprocess.CompletedProcess[bytes]) -> bool:
    """Whether a finished `fetching` got the page."""
    return done.stdout.endswith(b"\r\nreached\n")


def until(claim: Callable[[], bool], what: str) -> None:
    """Wait for something that has to become true."""
    deadline = time.monotonic() + PATIENCE
    while not claim():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE:.0f} s in vain: {what}")
        time.sleep(0.02)


def variables(command: str, name: str) -> dict[str, str]:
    """What a runtime sets for a call about eth0 of the lab's container of that name."""
    return {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": name,
        "CNI_NETNS": f"/var/run/netns/{name}",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": PLUGINS,
    }


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a runtime's own process gets: PATH with the tools of root, and extra."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": path, "HOME": "/root", "LANG": os.environ.get("LANG", "C.UTF-8"), **(extra or {})}


def conf(network: str, ipam: Mapping[str, Any], *, cni: str = "1.0.0", **keys: Any) -> dict[str, Any]:
    """A network conf of this plugin."""
    return {"cniVersion": cni, "name": network, "type": "calico", "ipam": dict(ipam), **keys}


def listed(first: Mapping[str, Any], *behind: Mapping[str, Any]) -> str:
    """The text of a .conflist: this conf's plugin, then those behind it."""
    plugins = [{key: value for key, value in first.items() if key not in ("cniVersion", "name")}, *behind]
    return json.dumps({"cniVersion": first["cniVersion"], "name": first["name"], "plugins": plugins})


def pool(*subnets: str) -> dict[str, Any]:
    """A host-local section with one range set a subnet."""
    return {"type": "host-local", "ranges": [[{"subnet": s}] for s in subnets]}
