"""The plugin's file in, a host whose calls are watched, and all that it has before and after one, out."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.clients.support.agent import Agent, program_below
from tests.clients.support.caller import Reply
from tests.clients.support.lab import HANGS, PLUGINS, Lab, environment, until, variables
from tests.clients.support.warm_process import Warm
from tests.faults.packets import WATCHERS, Senders
from tests.faults.supervisor import KILL, Plan, Supervisor, Watch
from tests.faults.worlds import LOCAL, WEB, World

__all__ = ["AGENT", "ALONE", "CLOSED", "KILLED", "LAUNCHER", "WEB", "Looked", "WatchedHost"]
CLOSED = "network: web\ningress: []\negress: []\n"
REACHED = [*(f"10.1.0.{n}" for n in range(1, 15)), *(f"fd00:1::{n:x}" for n in range(1, 15))]
_LOOK = Path(__file__).parent / "programs" / "look.py"
SETTLES = 20.0
ALONE, AGENT, LAUNCHER = "alone", "agent", "launcher"
"""Who is watched: the call's own process, the agent that serves it, or the launcher that asked the agent."""
KILLED = (-9, 137)
"""Exit status of who was ended by SIGKILL, as its parent or a shell has it."""
Looked = dict[str, list[str]]


class WatchedHost:
    """One host with an endpoint `first`. Where its world closes, nobody may enter or leave its network; it sends."""

    def __init__(self, plugin: Path, name: str, mode: str = ALONE, world: World = LOCAL) -> None:
        self.mode, self.world = mode, world
        self.stay = 1
        """Links of endpoints that live; the kernel takes those of a namespace away some time after its end."""
        self.lab = Lab(plugin, name)
        world.begin(self.lab)
        seeing = self.lab.command("/usr/bin/python3", "-IS", str(_LOOK), *world.told.split())
        self._eyes = subprocess.Popen(seeing, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.dump = ""
        self._supervisor: Supervisor | None = None
        self._agent: subprocess.Popen[bytes] | None = None
        if world.closes:
            self.lab.override("web", CLOSED)
        self.lab.write("/etc/cni/net.d/web.conf", json.dumps(world.web))
        self.lab.run("nft", "-f", "-", stdin=WATCHERS.encode())
        self.senders = Senders(REACHED if world.closes else [])
        self.senders.add("outside", f"/proc/{self.lab.pid}/root/run/netns/outside")
        self.helper = Warm(self.lab)
        self.attach("first")
        self.attach("warm")
        self.detach("warm")
        if world is not LOCAL:
            self.collect()  # which opens this host's own records, too
            self.lab.out(f"{PLUGINS}/calico", "restore")  # and this makes its table, whoever enforces
        if mode == LAUNCHER:
            Agent(self.lab).start()

    # What is set up and taken back without a fault, by a process that serves call after call.

    def netns(self, name: str) -> str:
        path = self.lab.netns(name)
        if self.world.closes:
            self.senders.add(name, self.outer(path))
        return path

    def outer(self, netns: str) -> str:
        """The same namespace as seen from the test: /var/run is a link there."""
        return f"/proc/{self.lab.pid}/root/run/netns/{Path(netns).name}"

    def no_netns(self, name: str) -> None:
        self.senders.drop(name)
        self.lab.out("ip", "netns", "del", name)
        until(
            lambda: len([x for x in self.lab.links() if x.startswith(("crk", "cali"))]) <= self.stay,
            "its link goes with it",
        )

    def attach(self, name: str, *, fresh: bool = True) -> dict[str, Any]:
        netns = self.netns(name) if fresh else f"/var/run/netns/{name}"
        answer = self.helper("ADD", self.world.web, name, netns)
        assert isinstance(answer, dict), answer
        return answer

    def detach(self, name: str, *, last: bool = True) -> None:
        self.helper("DEL", self.world.web, name, f"/var/run/netns/{name}")
        if last:
            self.no_netns(name)

    def collect(self) -> None:
        self.lab.out(f"{PLUGINS}/calico", "gc")

    # What is watched.

    def call(
        self, verb: str, name: str, plan: Plan | None = None, conf: Mapping[str, Any] | None = None
    ) -> tuple[Reply, Watch]:
        own = variables(verb, name) if verb != "GC" else {"CNI_COMMAND": verb, "CNI_PATH": PLUGINS}
        return self._watched([f"{PLUGINS}/calico"], json.dumps(conf or self.world.web).encode(), environment(own), plan)

    def command(self, *argv: str, plan: Plan | None = None) -> tuple[Reply, Watch]:
        return self._watched([f"{PLUGINS}/calico", *argv], b"", environment(), plan)

    def _watched(self, argv: list[str], stdin: bytes, env: Mapping[str, str], plan: Plan | None) -> tuple[Reply, Watch]:
        if self.mode == AGENT:
            self._agent_watched()
            assert self._supervisor is not None
            self._supervisor.begin(plan)
            done = subprocess.run(
                self.lab.command(*argv), input=stdin, env=env, capture_output=True, check=False, timeout=HANGS
            )
            watch = self._supervisor.seen()
            if watch.done and plan is not None and plan.act == KILL:
                self._agent_over()
            return Reply(done.returncode, done.stdout, done.stderr), watch
        supervisor = Supervisor()
        pipe = subprocess.PIPE
        command = self.lab.command(*supervisor.command(*argv))
        with subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env=env, pass_fds=supervisor.passed()
        ) as process:
            try:
                supervisor.begin(plan)
                supervisor.taken()
                out, err = process.communicate(stdin, timeout=HANGS)
            finally:
                process.kill()
                supervisor.close()
        return Reply(process.returncode, out, err), supervisor.seen()

    def _agent_watched(self) -> None:
        if self._agent is not None and self._agent.poll() is None:
            return
        self._agent_over()
        self._supervisor = Supervisor()
        argv = self._supervisor.command(f"{PLUGINS}/calico", "agent")
        self._agent = subprocess.Popen(
            self.lab.command(*argv), stdin=subprocess.DEVNULL, env=environment(), pass_fds=self._supervisor.passed()
        )
        self._supervisor.taken()
        until(self._serves, "the agent listens")

    def _serves(self) -> bool:
        """Whether it takes connections: asked in the lab's own words, since its socket's path is there."""
        done = self.lab.run("/usr/bin/python3", "-IS", "-c", _CONNECTS)
        return done.returncode == 0

    def _agent_over(self) -> None:
        if self._agent is not None:
            if self._agent.poll() is None:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ended at an effect, it is going
                    os.kill(program_below(self._agent.pid), signal.SIGKILL)  # of nsenter, whose child it is
            self._agent.wait(HANGS)
        if self._supervisor is not None:
            self._supervisor.close()
        self._agent = self._supervisor = None

    # What is seen.

    def look(self) -> Looked:
        assert self._eyes.stdin is not None
        assert self._eyes.stdout is not None
        self._eyes.stdin.write(b"\n")
        self._eyes.stdin.flush()
        found: Looked = json.loads(self._eyes.stdout.readline())
        (self.dump,) = found.pop("dump", [""])
        found["rules"] = [re.sub(r"packets \d+ bytes \d+", "", line) for line in found["rules"]]
        found["files"] = [
            f for f in found["files"] if not f.endswith(("agent.lock", ".sock", "attested.json", "-journal"))
        ]
        half = ("/profiles/.", "/lent/.")  # written: the next apply, or a later gc, sweeps
        found["files"] = [f for f in found["files"] if not any(part in f for part in half)]
        late = (" out0 ", " fe80::")  # what the kernel makes of a link by itself comes when it likes
        found["routes"] = [r for r in found["routes"] if not any(part in r for part in late)]
        if self.world.guards_stay:
            found["routes"] = [r for r in found["routes"] if not r.startswith("unreachable ")]
        found["addresses"] = [a for a in found["addresses"] if not a.startswith("out0 ")]
        return found

    def differs(self, base: Looked, *, wait: float = SETTLES) -> dict[str, list[str]]:
        """What is there too much or too little, once nothing changes any more; nothing where all is as before."""
        deadline = time.monotonic() + wait
        while (found := _difference(base, self.look())) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def passed(self) -> dict[str, int]:
        """Packets that came through since the host was made, where none may."""
        if not self.world.closes:
            return {}
        done = json.loads(self.lab.out("nft", "-j", "list", "counters", "table", "inet", "faults"))
        return {c["counter"]["name"]: c["counter"]["packets"] for c in done["nftables"] if "counter" in c}

    def answers(self, addresses: list[str]) -> bool:
        """Whether the host, which may, reaches a container at each of its addresses."""
        return all(
            any(self.lab.run("ping", "-c1", "-W2", "-q", address).returncode == 0 for _ in range(3))
            for address in addresses
        )

    def close(self) -> None:
        self.senders.close()
        self.helper.close()
        assert self._eyes.stdin is not None
        assert self._eyes.stdout is not None
        self._eyes.stdin.close()
        self._eyes.wait(60)
        self._eyes.stdout.close()
        self._agent_over()
        self.lab.close()


_CONNECTS = "import socket; socket.socket(socket.AF_UNIX).connect('/run/calico-rkt/agent.sock')"


def _difference(base: Looked, now: Looked) -> dict[str, list[str]]:
    return {
        kind: [
            *(f"+ {x}" for x in now[kind] if x not in base[kind]),
            *(f"- {x}" for x in base[kind] if x not in now[kind]),
        ]
        for kind in base
        if sorted(now[kind]) != sorted(base[kind])
    }
