"""A whole host in, the same with one thing wrong, and then as it was, out: the faults that doctor has to find."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.clients.support.agent import METRICS, SOCKET, Agent
from tests.clients.support.lab import OVERRIDES, PUBLISHED, STATE, Lab, conf, listed, pool

CONTAINERS, CONTAINERD, LIVE, KEPT, BACK = (
    "/etc/containers/containers.conf",
    "/etc/containerd/config.toml",
    "/etc/cni/net.d",
    "/etc/calico-rkt/networks",
    "/etc/cni/back.d",
)
LIBRARY = "/usr/lib/x86_64-linux-gnu/libnftables.so.1"
PODMAN = '[network]\nnetwork_backend = "cni"\n'
CRI = """version = 2
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.back]
  runtime_type = "io.containerd.runc.v2"
  cni_conf_dir = "/etc/cni/back.d"
"""
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}
WEB, BEHIND = conf("web", pool("10.1.0.0/24", "fd00:1::/112")), conf("back", pool("10.2.0.0/24"))
OVERRIDE = "network: web\ningress:\n  - {action: Allow, source: {network: back}}\n  - default\n"
_LISTEN = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()"
_HOLD = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(flush=True); time.sleep(900)"

Plant = Callable[[Lab], Callable[[], object]]
"""Puts something wrong, and gives what puts it right again."""


def furnish(lab: Lab) -> None:
    """What a host of podman and of containerd's CRI has: confs, overrides, all of it published."""
    lab.write(CONTAINERS, PODMAN)
    lab.write(CONTAINERD, CRI)
    for folder in (LIVE, KEPT):
        lab.write(f"{folder}/10-web.conflist", listed(WEB, PORTMAP))
    lab.write(f"{BACK}/10-back.conflist", listed(BEHIND, PORTMAP))
    lab.override("web", OVERRIDE)
    lab.out("/usr/lib/cni/calico", "apply", "--yes", "-C", LIVE, "-C", BACK)


def changed(path: str, change: Callable[[str], str]) -> Plant:
    """A file whose text becomes another; change gets what it was, nothing where it was not there."""

    def plant(lab: Lab) -> Callable[[], object]:
        there = lab.path(path)
        was = there.read_bytes() if there.exists() else None
        lab.write(path, change((was or b"").decode()))
        return lambda: there.unlink() if was is None else there.write_bytes(was)

    return plant


def replaced(path: str, old: str, new: str) -> Plant:
    """Words of a file that become others; they have to be there."""

    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return changed(path, change)


def new(path: str, text: str) -> Plant:
    """A file that should not be there, or not so."""
    return changed(path, lambda _: text)


def gone(path: str) -> Plant:
    """A file that is moved away."""

    def plant(lab: Lab) -> Callable[[], object]:
        there, aside = lab.path(path), lab.path("/run/lab/aside")
        target = there.readlink() if there.is_symlink() else None
        if target is None:
            shutil.copy2(there, aside)
        there.unlink()

        def heal() -> None:
            there.unlink(missing_ok=True)
            there.symlink_to(target) if target is not None else shutil.copy2(aside, there)

        return heal

    return plant


def commanded(wrong: str, right: str) -> Plant:
    """What a shell of the host does, and undoes."""

    def plant(lab: Lab) -> Callable[[], object]:
        lab.out("sh", "-euc", wrong)
        return lambda: lab.out("sh", "-euc", right)

    return plant


def sysctl(name: str, wrong: str) -> Plant:
    """A sysctl of the host's network namespace."""

    def plant(lab: Lab) -> Callable[[], object]:
        was = lab.out("cat", f"/proc/sys/net/{name}").strip()
        lab.out("sh", "-c", f"echo {wrong} >/proc/sys/net/{name}")
        return lambda: lab.out("sh", "-c", f"echo {was} >/proc/sys/net/{name}")

    return plant


def running(*argv: str) -> Plant:
    """A process that stays, and says a line when it has begun."""

    def plant(lab: Lab) -> Callable[[], object]:
        process = subprocess.Popen(lab.command(*argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        return lambda: _end(process)

    return plant


def _end(process: subprocess.Popen[bytes]) -> None:
    """nsenter forks for the PID namespace: its child goes first."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    subprocess.run(["kill", "-KILL", *children], check=False)
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def agent_of_another_build(lab: Lab) -> Callable[[], object]:
    """An agent whose file says another build; all else is the same."""
    _put_another_build(lab, "/run/lab/other")
    agent = Agent(lab, binary="/run/lab/other").start()

    def heal() -> None:
        agent.kill(signal.SIGTERM)
        assert not lab.path(METRICS).exists()

    return heal


def _put_another_build(lab: Lab, path: str) -> None:
    own = lab.path("/usr/lib/cni/calico").read_bytes()
    build = json.loads(lab.out("python3", "-IS", "-c", _BUILD, "/usr/lib/cni/calico"))
    lab.write(path, own.replace(build.encode(), build[::-1].encode()))
    lab.path(path).chmod(0o755)


def another_build(path: str) -> Plant:
    """A copy of another build in the place of a link to ours, as `install --to` puts it."""

    def plant(lab: Lab) -> Callable[[], object]:
        lab.out("rm", "-f", path)
        _put_another_build(lab, path)
        return lambda: lab.out("ln", "-sf", "/usr/lib/cni/calico", path)

    return plant


_BUILD = (
    "import json, re, sys, zipfile; text = zipfile.ZipFile(sys.argv[1]).read('__main__.py').decode(); "
    """print(json.dumps(re.search('BUILD = "([0-9a-f]+)"', text)[1]))"""
)


def stopped_agent(lab: Lab) -> Callable[[], object]:
    """An agent that listens and does nothing."""
    agent = Agent(lab, binary="/usr/lib/cni/calico").start()
    agent.signal(signal.SIGSTOP)

    def heal() -> None:
        agent.signal(signal.SIGCONT)
        agent.kill(signal.SIGTERM)

    return heal


def ahead(path: str) -> Plant:
    """A file that was written tomorrow."""
    return commanded(f"touch -d '+1 day' {path}", f"touch {path}")


def mounted(path: str, options: str) -> Plant:
    """Another file system over a folder of ours."""
    return commanded(f"mkdir -p {path} && mount -t tmpfs -o {options},mode=755 tmpfs {path}", f"umount {path}")


def damaged_state(lab: Lab) -> Callable[[], object]:
    there = lab.path(STATE)
    was = there.read_bytes()
    there.write_bytes(b"no database" * 1000)
    return lambda: there.write_bytes(was)


def link_gone(lab: Lab) -> Callable[[], object]:
    """An attachment whose link somebody deleted; its record is freed afterwards."""
    lab.out("sh", "-euc", "ip netns add lost; /usr/lib/cni/calico attach web lost >/dev/null; ip netns del lost")
    time.sleep(0.2)
    return lambda: lab.out("/usr/lib/cni/calico", "gc")


def _both(*plants: Plant) -> Plant:
    def plant(lab: Lab) -> Callable[[], object]:
        heals = [p(lab) for p in plants]
        return lambda: [heal() for heal in reversed(heals)]

    return plant


def _podman5(lab: Lab) -> Callable[[], object]:
    """Debian 13's is tried in a chroot (test_netavark.py); here it is its version and its folder of drivers."""
    return _both(
        commanded(
            "printf '#!/bin/sh\\necho podman version 5.4.2\\n' >/usr/local/bin/podman; chmod 755 /usr/local/bin/podman",
            "rm /usr/local/bin/podman",
        ),
        changed(CONTAINERS, lambda text: text + 'netavark_plugin_dirs = ["/srv/none"]\n'),
    )(lab)


@contextmanager
def planted(lab: Lab, plant: Plant) -> Iterator[None]:
    """The host with the fault, for as long as the block runs."""
    heal = plant(lab)
    try:
        yield
    finally:
        heal()


OTHER_LIST = '{"cniVersion": "1.0.0", "name": "bridged", "plugins": [{"type": "bridge"}]}'
FIREWALL = "nft add table inet fw; nft add chain inet fw f '{ type filter hook forward priority 0; policy drop; }'"
CLUSTER = conf(
    "far", pool("10.9.0.0/24"), datastore_type="etcdv3", etcd_endpoints="http://127.0.0.1:1", require_felix=False
)
NO_ADMIN = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")

FAULTS: Mapping[str, tuple[str, Plant, tuple[str, ...]]] = {
    name: (code, plant, under[0] if under else ())
    for name, code, plant, *under in (
        ("podman chose netavark", "CR901", replaced(CONTAINERS, '"cni"', '"netavark"')),
        (
            "a suffix that podman passes over",
            "CR902",
            _both(
                new(f"{LIVE}/30-third.conf", json.dumps(conf("third", pool("10.3.0.0/24")))),
                changed(CONTAINERD, lambda text: text.partition('[plugins."io.containerd.grpc.v1.cri".containerd')[0]),
            ),
        ),
        ("a plugin of a list is missing", "CR903", gone("/usr/lib/cni/portmap")),
        ("containerd looks elsewhere", "CR904", replaced(CONTAINERD, '"/usr/lib/cni"', '"/srv/cni"')),
        ("a cniVersion too new", "CR905", replaced(f"{LIVE}/10-web.conflist", '"1.0.0"', '"1.1.0"')),
        ("a cniVersion too long", "CR905", replaced(f"{LIVE}/10-web.conflist", '"1.0.0"', f'"{"9" * 5000}"')),
        (
            "podman reads another folder",
            "CR906",
            changed(CONTAINERS, lambda t: t + 'network_config_dir = "/srv/nets"\n'),
        ),
        ("another conf comes first", "CR907", new(f"{LIVE}/00-bridge.conflist", OTHER_LIST)),
        (
            "a handler's folder is empty",
            "CR907",
            commanded(f"mv {BACK} /run/lab/b; mkdir {BACK}", f"rmdir {BACK}; mv /run/lab/b {BACK}"),
        ),
        ("containerd's CRI is off", "CR908", changed(CONTAINERD, lambda t: 'disabled_plugins = ["cri"]\n' + t)),
        ("no loopback", "CR909", gone("/usr/lib/cni/loopback")),
        ("podman 5 without the driver", "CR910", _podman5),
        ("a configuration that is no TOML", "CR912", changed(CONTAINERD, lambda t: t + "[[\n")),
        ("forwarding is off", "CR920", sysctl("ipv4/ip_forward", "0")),
        ("IPv6 forwarding is off", "CR920", sysctl("ipv6/conf/all/forwarding", "0")),
        ("rp_filter is loose", "CR921", sysctl("ipv4/conf/all/rp_filter", "2")),
        ("the uplink does not forward", "CR922", sysctl("ipv4/conf/out0/forwarding", "0")),
        ("router advertisements are ignored", "CR923", sysctl("ipv6/conf/out0/accept_ra", "1")),
        ("nftables is not for us", "CR924", commanded(":", ":"), NO_ADMIN),
        (
            "no libnftables",
            "CR925",
            commanded(f"mount --bind /dev/null $(readlink -f {LIBRARY})", f"umount $(readlink -f {LIBRARY})"),
        ),
        ("another firewall drops", "CR930", commanded(FIREWALL, "nft delete table inet fw")),
        ("others may write the state", "CR931", commanded("chmod 777 /run/calico-rkt", "chmod 700 /run/calico-rkt")),
        (
            "anybody may write overrides",
            "CR931",
            commanded(f"chmod 777 {OVERRIDES}", f"chmod 755 {OVERRIDES}"),
        ),
        ("the state is damaged", "CR932", damaged_state),
        ("the log's folder is read-only", "CR933", mounted("/var/log/calico-rkt", "ro")),
        ("the log's file system is full", "CR934", mounted("/var/log/calico-rkt", "size=64k")),
        ("a release that can't be read", "CR936", new("/var/lib/calico-rkt/journal/x.json", "{")),
        ("a lock is held", "CR937", running("python3", "-c", _HOLD, "/run/calico-rkt/policy.lock")),
        ("the clock was set back", "CR938", ahead(f"{PUBLISHED}/web.yaml")),
        ("the table is gone", "CR940", commanded("nft delete table inet calico_rkt", "/usr/lib/cni/calico restore")),
        (
            "a rule too many",
            "CR941",
            commanded("nft insert rule inet calico_rkt out-web return", "/usr/lib/cni/calico restore"),
        ),
        ("a profile is stale", "CR942", replaced(f"{OVERRIDES}/web.yaml", "Allow", "Deny")),
        ("an override does not compile", "CR946", replaced(f"{OVERRIDES}/web.yaml", "action: Allow", "action: Alow")),
        ("a profile was edited", "CR943", replaced(f"{PUBLISHED}/web.yaml", "action: Allow", "action: Deny")),
        ("a profile was deleted", "CR947", gone(f"{PUBLISHED}/web.yaml")),
        ("a link is gone", "CR944", link_gone),
        ("a socket that nobody serves", "CR950", commanded(f"python3 -c '{_LISTEN}' {SOCKET}", f"rm -f {SOCKET}")),
        ("an agent that hangs", "CR951", stopped_agent),
        ("an agent of another build", "CR952", agent_of_another_build),
        (
            "an installed file was edited",
            "CR960",
            changed("/etc/systemd/system/calico-rkt-agent.service", lambda t: t + "#\n"),
        ),
        (
            "another program called calico",
            "CR961",
            commanded("mkdir -p /usr/libexec/cni; cp /bin/true /usr/libexec/cni/calico", "rm /usr/libexec/cni/calico"),
        ),
        (
            "a unit is off",
            "CR963",
            commanded("systemctl disable calico-rkt-agent.socket", "systemctl enable calico-rkt-agent.socket"),
        ),
        ("the cluster is away", "CR970", new(f"{LIVE}/40-far.conflist", listed(CLUSTER))),
        ("an override of nobody", "CR706", new(f"{OVERRIDES}/nobody.yaml", "network: nobody\ningress: [default]\n")),
        ("a file that is no override by its name", "CR707", new(f"{OVERRIDES}/web.yaml.txt", OVERRIDE)),
        ("a conf that prune took", "CR724", gone(f"{LIVE}/10-web.conflist")),
    )
}
