"""The situations of docs/runbook.md: how each is made on a whole host, and undone where the page's cure does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

from tests.clients.support.lab import Lab, conf, pool
from tests.clients.support.plants import FAULTS, FIREWALL, commanded, planted

CLUSTER = json.dumps(conf("far", pool("10.9.0.0/24"), datastore_type="etcdv3", etcd_endpoints="http://127.0.0.1:23999"))
_END = '$(ip -j route get 10.1.0.1 | sed \'s/.*"dev":"\\([a-z0-9]*\\)".*/\\1/\')'
_REBOOT = (
    "nft flush ruleset; rm -rf /run/calico-rkt; "
    "for end in $(ip -o link | sed -n 's/.*: \\(crk[0-9a-f]*\\)@.*/\\1/p'); do ip link del $end; done; "
    "for name in c1 c2; do ip netns del $name; ip netns add $name; done"
)
_TINY = (
    "calico-rkt network add tiny 10.77.0.0/30 --for containerd --yes; "
    "for name in t1 t2 t3; do ip netns add $name; done; calico-rkt attach tiny t1; calico-rkt attach tiny t2"
)
_NEWER = (
    "nft flush chain inet calico_rkt layout; "
    "printf 'add rule inet calico_rkt layout return comment \"%s\"\\n' 'layout 9 000000000000' 'forward 5 filter 2 0' "
    "| nft -f -"
)
_FULL = (
    "mount -t tmpfs -o size=16k,mode=755 tmpfs /var/lib/calico-rkt; "
    "head -c 16k /dev/zero >/var/lib/calico-rkt/full || :"
)
_GC = json.dumps({**conf("web", pool("10.1.0.0/24"), cni="1.1.0"), "cni.dev/valid-attachments": []})

Made = Callable[[Lab], AbstractContextManager[None]]


def shell(wrong: str, right: str = ":") -> Made:
    """What a shell does before the page is followed, and afterwards."""
    return lambda lab: planted(lab, commanded(wrong, right))


def fault(name: str) -> Made:
    """One of doctor's."""
    return lambda lab: planted(lab, FAULTS[name][1])


def background(command: str) -> Made:
    """A command that runs beside."""

    def made(lab: Lab) -> AbstractContextManager[None]:
        lab.start("sh", "-c", command)
        return nullcontext()

    return made


SITUATIONS: Mapping[str, Made] = {
    "Somebody flushed nftables": shell("nft flush ruleset"),
    "The host was rebooted": shell(_REBOOT),
    "A network's pool is full": shell(_TINY),
    "A container is gone, and nobody said DEL": shell("ip netns del c2; sleep 0.3"),
    "A container is not reached, and nobody knows why": background(
        "for n in 1 2 3 4 5 6 7 8 9; do ip netns exec c1 ping -c1 -W1 10.2.0.1; sleep 0.5; done >/dev/null"
    ),
    "Another firewall drops": shell(FIREWALL, "nft delete table inet fw"),
    "Forwarding is off": shell("echo 0 >/proc/sys/net/ipv4/ip_forward"),
    "A host end was renamed": shell(
        f"end={_END}; ip link set $end down; ip link set $end name web0; ip link set web0 up"
    ),
    "A host end is in another device group": shell(f"end={_END}; ip link set dev $end group default"),
    "A route to a container is gone": shell("ip route del 10.1.0.1"),
    "A rule was added or taken by hand": shell("nft insert rule inet calico_rkt in-web tcp dport 22 return"),
    "A published profile was edited by hand": shell("sed -i s/Allow/Deny/ /var/lib/calico-rkt/profiles/web.yaml"),
    "An override does not compile": shell(
        "cp /etc/calico-rkt/profiles/web.yaml /run/was; "
        "printf 'network: web\\ningress:\\n  - {action: Alow}\\n' >/etc/calico-rkt/profiles/web.yaml",
        "cp /run/was /etc/calico-rkt/profiles/web.yaml",
    ),
    "A network's subnet was moved": shell(
        "ip netns add c3; sed -i s/10.1.0.0/10.50.0.0/ /etc/cni/net.d/10-web.conflist"
    ),
    "The disk is full": shell(_FULL, "umount /var/lib/calico-rkt"),
    "The state file is damaged": shell(
        "ip netns add c3; head -c 9000 /dev/zero | tr '\\0' x >/run/calico-rkt/state.log"
    ),
    "The clock was set back": fault("the clock was set back"),
    "The agent hangs": fault("an agent that hangs"),
    "After an upgrade the agent is still the old one": fault("an agent of another build"),
    "An older build is to be put back": shell("true"),
    "After a downgrade nothing can be attached": shell(f"ip netns add c3; {_NEWER}"),
    "A process holds our lock": fault("a lock is held"),
    "podman deleted a network's conf": shell("rm /etc/cni/net.d/10-web.conflist"),
    "Two runtimes share a network, and one of them cleans up": shell(
        f"printf %s '{_GC}' | CNI_COMMAND=GC CNI_PATH=/usr/lib/cni /usr/lib/cni/calico"
    ),
    "etcd is away": shell(f"printf %s '{CLUSTER}' >/etc/cni/net.d/30-far.conf"),
}
