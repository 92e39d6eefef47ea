"""What people do next in a history in: commands, and another build put in place under load; done, out."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.clients.support.agent import Agent
from tests.clients.support.lab import PLUGINS, until
from tests.clients.support.podman import Podman
from tests.faults.commands import OPENED
from tests.faults.histories.calls import RUNTIMES, Calls, name
from tests.faults.histories.model import NAMES
from tests.faults.host import CLOSED, WEB

_MARK = b'calico_rkt.BUILD = "'


class People(Calls):
    """What people ask, or put in place."""

    had_podman = False

    @rule()
    def gc(self) -> None:
        self.did("gc")
        status = self.tool("gc")
        assert self.full or status == 0, "gc failed"
        if status == 0:
            self.freed(*NAMES)

    @rule(text=st.sampled_from((CLOSED, OPENED)))
    def apply(self, text: str) -> None:
        self.did("apply")
        self.host.lab.override("web", text)
        status = self.tool("apply", "--yes")
        assert self.full or status == 0, "apply failed"

    @rule(what=st.sampled_from((("prune", "--yes"), ("restore",), ("restore", "--if-needed"), ("status",))))
    def command(self, what: tuple[str, ...]) -> None:
        self.did(what[0])
        status = self.tool(*what)
        assert self.full or status in (0, 1), what

    @precondition(lambda self: not self.full)
    @rule(
        asked=st.lists(
            st.tuples(st.sampled_from(("ADD", "DEL")), name, st.sampled_from(tuple(RUNTIMES))),
            min_size=1,
            max_size=3,
            unique_by=lambda call: call[1],
        ),
        next_agent=st.booleans(),
    )
    def update(self, asked: list[tuple[str, str, str]], next_agent: bool) -> None:
        """Another build takes the file's place while calls are at work; the agent ends after them, or is not asked."""
        self.did("update of the file under calls")
        with ThreadPoolExecutor(1) as beside:
            put = beside.submit(self._put_another_build, 0.05)
            self.together(asked)
            put.result()
        if next_agent and self.has_agent and not self.stopped:
            self.call("STATUS", "")
            until(lambda: not self.has_agent, "an agent whose file was replaced ends")
            self.agent = Agent(self.host.lab).start()

    def _put_another_build(self, after: float) -> None:
        time.sleep(after)
        place = self.host.lab.path(PLUGINS, "calico")
        whole = place.read_bytes()
        build = whole.rpartition(_MARK)[2][:32]
        assert whole.count(build) == 3, "in the launcher, and in what Python runs and compiled"
        new = place.with_name(".calico.new")
        new.write_bytes(whole.replace(build, secrets.token_hex(16).encode()))
        new.chmod(0o755)
        new.rename(place)

    @precondition(lambda self: not self.full)
    @rule()
    def podman(self) -> None:
        """The real one beside the others, once: it has its own folder of confs and its own container."""
        if self.had_podman:
            return
        self.did("a container of podman")
        type(self).had_podman = True
        podman = Podman(self.host.lab)
        podman.network({**WEB, "cniVersion": "0.4.0"})
        podman.run("web", "podmans", "/bin/sleep", "1000")
        shown = podman("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "podmans")
        assert self.host.answers([shown.stdout.decode().strip()]), shown
        podman.stop("podmans")
