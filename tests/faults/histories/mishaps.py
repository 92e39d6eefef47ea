"""What goes wrong next in a history in: ends, flushes, full disks, reboots, clocks, agents; done, out."""

from __future__ import annotations

import signal

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests import state_log
from tests.clients.support.agent import Agent
from tests.clients.support.lab import PLUGINS, STATE, environment
from tests.clients.support.warm_process import Warm
from tests.faults.histories.calls import name
from tests.faults.histories.clock import SHIFTS
from tests.faults.histories.model import NAMES, ROOMY, Is
from tests.faults.histories.people import People
from tests.faults.histories.stopped import Stopped

_FULL = "mount -o remount,size=$(($(df --output=used -k {0} | tail -1)))k {0}"
_WHO = ("ADD", "DEL", "apply", "restore", "gc", "prune")


class Histories(People):
    """All that can come next."""

    @rule(one=name)
    def dies(self, one: str) -> None:
        if self.known[one] is Is.ATTACHED:
            self.did("a namespace that goes without a DEL")
            self.host.senders.drop(one)
            self.host.lab.out("ip", "netns", "del", one)
            self.known[one] = Is.DEAD

    @rule()
    def flush(self) -> None:
        """Somebody's `nft flush ruleset`, mended by whoever comes next: here by a restore at once."""
        self.did("flush of the table")
        self.host.senders.mind(f"/proc/{self.host.lab.pid}/ns/net")
        with self.host.senders.silent():
            self.host.lab.out("nft", "delete", "table", "inet", "calico_rkt")
        assert self.restores() or self.full, "restore failed"
        self.host.senders.mind("")

    @precondition(lambda self: not self.full)
    @rule(kept=st.booleans())
    def reboot(self, kept: bool) -> None:
        """No container, process, link, route or table outlives it; /run does on some hosts."""
        self.did("reboot, /run kept" if kept else "reboot, /run gone")
        self.end_agent()
        lab = self.host.lab
        for one, what in self.known.items():
            if what is not Is.DEAD:
                self.host.senders.drop(one)
                lab.out("ip", "netns", "del", one)
        for link in lab.links():
            if link.startswith("crk"):
                lab.run("ip", "link", "del", link)
        lab.out("sh", "-c", "ip route flush type unreachable; ip -6 route flush type unreachable; nft flush ruleset")
        lab.out("nft", "-f", "/run/lab/watchers")
        if kept:
            state_log.change(lab.path(STATE), boot="another")
        else:
            lab.out("rm", "-rf", "/run/calico-rkt")
        for one in NAMES:
            self.host.netns(one)
            self.known[one] = Is.ABSENT
        self.host.helper.close()  # it has the state file of before open, and no process outlives a reboot
        self.host.helper = Warm(lab)
        self.host.senders.drop("first")
        lab.run("ip", "netns", "del", "first")
        self.host.attach("first")

    @precondition(lambda self: not self.full)
    @rule(where=st.sampled_from(("/run", "/run", "/var/lib", "/var/log")))
    def fills(self, where: str) -> None:
        self.did(f"full {where}")
        self.host.lab.out("sh", "-ec", _FULL.format(where))
        self.full = True

    @precondition(lambda self: self.full)
    @rule()
    def has_room(self) -> None:
        self.host.lab.out("sh", "-ec", ROOMY)
        self.full = False
        assert self.restores()

    # Clocks

    @rule(shift=st.sampled_from(SHIFTS))
    def clock_jumps(self, shift: str) -> None:
        self.did("jump of the clock")
        self.clock.jump(shift)

    @rule()
    def another_boots_clock(self) -> None:
        self.did("calls with another boot's clocks")
        self.clock.other_boot()

    @rule()
    def clock_is_right(self) -> None:
        self.clock.right()

    # Agents

    @precondition(lambda self: self.agent is None and not self.full)
    @rule(false=st.booleans())
    def agent_comes(self, false: bool) -> None:
        """false: its clock jumps whenever the history's does, while it runs."""
        self.did("agent started")
        before = ("env", *(f"{k}={v}" for k, v in self.clock.false.items())) if false else ()
        self.agent = Agent(self.host.lab, before=before).start()

    @precondition(lambda self: self.agent is not None)
    @rule()
    def second_agent(self) -> None:
        """Refused in words while the first one lives, stopped or not; that one serves on."""
        if not self.has_agent:
            return  # its file was replaced, and a call has told it
        self.did("second agent")
        done = self.host.lab.run("timeout", "60", f"{PLUGINS}/calico", "agent", env=environment())
        assert done.returncode == 2, done
        assert b"another agent serves" in done.stderr, done
        assert self.has_agent

    @precondition(lambda self: self.agent is not None)
    @rule()
    def agent_killed(self) -> None:
        self.did("agent killed")
        self.end_agent()

    @precondition(lambda self: self.agent is not None and not self.stopped)
    @rule()
    def agent_stops(self) -> None:
        assert self.agent is not None
        self.did("agent stopped")
        if self.has_agent:
            self.agent.signal(signal.SIGSTOP)
        self.stopped = True

    @precondition(lambda self: self.agent is not None and self.stopped)
    @rule()
    def agent_goes_on(self) -> None:
        assert self.agent is not None
        if self.has_agent:
            self.agent.signal(signal.SIGCONT)
        self.stopped = False

    # Who is stopped with whatever lock it has

    @precondition(lambda self: not self.full and not self.stopped)
    @rule(
        who=st.sampled_from(_WHO),
        at=st.integers(0, 170),
        asked=st.sampled_from(_WHO),
        goes_on=st.booleans(),
        pair=st.permutations(NAMES),
    )
    def beside_a_stopped(self, who: str, at: int, asked: str, goes_on: bool, pair: list[str]) -> None:
        """One is stopped at an effect, with the locks that it has then; another one comes; it goes on or is ended."""
        one, other = pair[0], pair[1] if at % 4 else pair[0]
        self.did("one stopped at an effect, another one beside it")
        self.revive(one, other)
        with Stopped(self.host, who, one, at) as first, Stopped(self.host, asked, other, -1) as second:
            second.has_some_time()
            told = [first.finished() if goes_on else first.killed(), second.finished()]
        asks = [(verb, about) for verb, about in ((who, one), (asked, other))]
        for (verb, about), reply in zip(asks, told, strict=True):
            self.said_well(reply)
            if verb not in ("ADD", "DEL"):
                assert reply.status in (0, 1, -9, 137), reply
            elif one == other and asks[0][0] in ("ADD", "DEL") and asks[1][0] in ("ADD", "DEL"):
                self.known[about] = Is.EITHER
            elif reply.status in (-9, 137):
                self.known[about] = self.known[about] if self.is_sure(verb, about) else Is.EITHER
            else:
                self.settles(verb, about, reply, 11)
        if "gc" in (who, asked):
            self.unsure_of_the_dead()

    def is_sure(self, verb: str, one: str) -> bool:
        return self.known[one] is (Is.ATTACHED if verb == "ADD" else Is.ABSENT)

    def unsure_of_the_dead(self) -> None:
        for one, what in self.known.items():
            if what is Is.DEAD:
                self.host.netns(one)
                self.known[one] = Is.EITHER
