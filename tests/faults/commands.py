"""A watched host and a fault in; a command for people met by it, and its promises held against what is there, out."""

from __future__ import annotations

import difflib
from typing import Any

from tests.clients.support.caller import Reply
from tests.clients.support.lab import PLUGINS
from tests.faults.host import CLOSED, Looked, WatchedHost
from tests.faults.supervisor import Plan, Watch
from tests.faults.verbs import Add, Gc, Scenario

OPENED = "network: web\ningress: []\negress:\n  - {action: Allow, protocol: TCP, destination: {ports: [81]}}\n"
"""Another policy than CLOSED, which lets no packet through that is sent."""


def in_force(rules: list[str]) -> list[str]:
    """A ruleset as it decides: rules that a chain is led to aside, while it is swapped, stand in their own place."""
    bodies: dict[str, list[str]] = {}
    order: list[tuple[str, str]] = []
    name = ""
    for line in filter(str.strip, rules):  # a chain aside leaves the empty line before it
        if line.startswith("\tchain "):
            name = line.split()[1]
            bodies[name] = []
        order.append((name, line))
        if name:
            bodies[name].append(line)
        if line == "\t}":
            name = ""
    found: list[str] = []
    for name, line in order:
        aside = bodies.get(f"next-{name}", [])
        led = len(bodies.get(name, ())) > 1 and bodies[name][1].strip() == f"goto next-{name}"
        if name.startswith("next-") or (led and line not in (bodies[name][0], "\t}")):
            continue
        found.append(line)
        if led and line == bodies[name][0]:
            found += aside[1:-1]
    return found


class Command(Scenario):
    """An act of people: exit status 0, or words and 2."""

    argv: tuple[str, ...] = ()

    def run(self, plan: Plan | None) -> tuple[Reply, Watch]:
        return self.host.command(*self.argv, plan=plan)

    def said_well(self, reply: Reply) -> None:
        for stream in (reply.stdout, reply.stderr):
            assert b"Traceback" not in stream, reply
            assert b"internal error" not in stream, reply
        assert reply.status in (0, 1, 2) or self.ended(reply), reply
        assert reply.status not in (1, 2) or reply.stderr, reply

    def again(self, *argv: str) -> None:
        self.host.lab.out(f"{PLUGINS}/calico", *(argv or self.argv))


class GcCommand(Command, Gc):
    """`calico-rkt gc`: as CNI's GC."""

    name = "gccommand"
    argv = ("gc",)

    def prepare(self) -> None:
        Gc.prepare(self)

    def judge(self, reply: Reply) -> None:
        Gc.judge(self, reply)


class Apply(Command):
    """The policy before or the one after, whole, and never a third; the same act again completes it."""

    name = "apply"
    argv = ("apply", "--yes")

    def __init__(self, host: WatchedHost) -> None:
        super().__init__(host)
        self.policies = (CLOSED, OPENED)
        self.at = 0
        self.looks: list[Looked] = []
        for number in (1, 0):
            self.wanted(number)
            self.again()
            self.looks.insert(0, host.look())
        assert self.rules(self.looks[0]) != self.rules(self.looks[1])
        self.base = self.looks[0]

    def rules(self, looked: Looked) -> list[str]:
        return in_force(self.host.world.in_force(looked))

    def wanted(self, number: int) -> None:
        self.host.lab.override("web", self.policies[number])

    def prepare(self) -> None:
        self.wanted(1 - self.at)

    def judge(self, reply: Reply) -> None:
        new, old = self.looks[1 - self.at], self.looks[self.at]
        now, before, after = (self.rules(looked) for looked in (self.host.look(), old, new))
        third = "\n".join(difflib.unified_diff(before, now, "before", "now", lineterm="", n=1))
        assert now in (before, after), f"a third policy is in force:\n{third}"
        if reply.status == 0:
            assert now == after, "success, and the policy before is in force"
        elif not self.ended(reply):
            words = (b"in force", b"applied: web", b"brought into")
            told = any(each in reply.stdout + reply.stderr for each in words)
            assert now == before or told, f"in force, and nobody is told: {reply}"
            if now == before and self.turn % 2:
                self.again("restore")
                assert self.rules(self.host.look()) == before, "what was told to have failed comes in force later"
        self.again()
        self.at = 1 - self.at
        self.base = new


class Import(Apply):
    """`calico-rkt import` of what export wrote."""

    name = "import"
    exported = False

    def __init__(self, host: WatchedHost) -> None:
        super().__init__(host)
        for number in (1, 0):
            self.wanted(number)
            self.again("apply", "--yes")
            self.again("export", "--from", host.world.datastore, "-o", f"/run/lab/{number}.yaml")
        self.base, self.exported = host.look(), True

    def prepare(self) -> None: ...

    @property
    def argv(self) -> tuple[str, ...]:  # type: ignore[override]
        if not self.exported:
            return ("apply", "--yes")
        return (
            "import",
            "--to",
            self.host.world.datastore,
            "--yes",
            "--overwrite",
            "--take-over",
            f"/run/lab/{1 - self.at}.yaml",
        )


class Prune(Command):
    """A profile that nobody uses goes whole or stays whole; the next time it goes."""

    name = "prune"
    argv = ("prune", "--yes")

    def __init__(self, host: WatchedHost) -> None:
        super().__init__(host)
        if host.world.closes:
            host.lab.override("other", CLOSED.replace("web", "other"))
        self.prepare()
        self.again()
        self.base = host.look()  # a network's ranges are remembered until the next boot

    def prepare(self) -> None:
        name = self.fresh()
        netns = self.host.netns(name)
        said: Any = self.host.helper("ADD", self.host.world.other, name, netns)
        assert said, said
        self.host.helper("DEL", self.host.world.other, name, netns)
        self.host.no_netns(name)

    def judge(self, reply: Reply) -> None:
        if reply.status == 0:
            self.same_as_before("by a prune")
            return
        there = any(path.endswith("/profiles/other.yaml") for path in self.host.look()["files"])
        if self.host.world.closes and not there and not self.ended(reply):
            assert b"other" in reply.stdout + reply.stderr, f"deleted, and nobody is told: {reply}"
        self.again()


class Restore(Command):
    """Closed before anything else, then whole; what was cut short is completed by the next one."""

    name = "restore"
    argv = ("restore",)

    def prepare(self) -> None:
        lab = self.host.lab
        if not self.host.world.closes:
            return
        guard = next(r for r in lab.out("ip", "route").splitlines() if r.startswith("unreachable"))
        self.host.senders.mind(f"/proc/{lab.pid}/ns/net")
        with self.host.senders.silent():
            lab.out(
                "sh", "-ec", f"ip route del {guard}; ip link set {self.first()} down; nft delete table inet calico_rkt"
            )

    def first(self) -> str:
        return next(name for name in self.base["links"] if name.startswith("crk"))

    def judge(self, reply: Reply) -> None:
        if reply.status == 0:
            self.same_as_before("by a restore")
        else:
            self.again()
        self.host.senders.mind("")


class FirstAdd(Add):
    """The ADD that brings a network to this host: guards, profile and chains come with it, and go with a prune."""

    name = "firstadd"

    def __init__(self, host: WatchedHost) -> None:
        super().__init__(host)
        self.conf = host.world.other
        if host.world.closes:
            host.lab.override("other", CLOSED.replace("web", "other"))
        self.prepare()
        self.host.helper("ADD", self.host.world.other, self.one, f"/var/run/netns/{self.one}")
        self.detach()
        self.tidy()
        self.base = host.look()

    def nothing_left(self) -> None:
        """But for what a network keeps, which a prune takes away."""
        found = self.host.differs(self.base, wait=0)
        found = {kind: lines for kind, lines in found.items() if kind in ("links", "addresses", "rows", "neighbours")}
        assert not found, f"left by a failed ADD: {found}"

    def tidy(self) -> None:
        self.host.lab.out(f"{PLUGINS}/calico", "prune", "--yes")
