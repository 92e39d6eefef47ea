"""The plugin ended at any point of an ADD or DEL: the next DEL takes back whatever is left."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest

from tests.clients.support.agent import settled
from tests.clients.support.caller import Caller
from tests.clients.support.lab import PLUGINS, Lab, conf, environment, pool, variables

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

WEB = conf("web", pool("10.1.0.0/24", "fd00:1::/64"))


def cut_short(lab: Lab, command: str, name: str, after: float, by: signal.Signals) -> bytes:
    """Run a verb and end the plugin's own process some seconds later; what it printed by then."""
    env = variables(command, name)
    # `timeout` is the plugin's parent there, so the signal meets the plugin and not nsenter.
    argv = lab.command("timeout", "-s", by.name.removeprefix("SIG"), f"{after:.3f}", f"{PLUGINS}/calico")
    done = subprocess.run(
        argv, input=json.dumps(WEB).encode(), env=environment(env), capture_output=True, check=False, timeout=60
    )
    assert b"Traceback" not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("command", ["ADD", "DEL"])
def test_a_killed_plugin_leaves_nothing_that_the_next_del_does_not_take_back(
    lab: Lab, cni: Caller, command: str
) -> None:
    cni.add(WEB, "warm", lab.netns("warm"))
    begun = time.monotonic()
    cni.delete(WEB, "warm", "/var/run/netns/warm")
    whole = max(time.monotonic() - begun, 0.1) * 2
    for step in range(24):
        name = f"k{step}"
        netns = lab.netns(name)
        if command == "DEL":
            cni.add(WEB, name, netns)
        cut_short(lab, command, name, whole * (step + 1) / 24, signal.SIGKILL)
        cni.delete(WEB, name, netns)
        assert lab.left() == {}, f"{command} killed at step {step}"


def test_a_killed_add_may_be_repeated(lab: Lab, cni: Caller) -> None:
    cni.add(WEB, "warm", lab.netns("warm"))
    for step in range(12):
        name = f"k{step}"
        netns = lab.netns(name)
        cut_short(lab, "ADD", name, 0.02 * (step + 1), signal.SIGKILL)
        result = cni.add(WEB, name, netns)
        assert result["ips"], result
        cni.delete(WEB, name, netns)
    cni.delete(WEB, "warm", "/var/run/netns/warm")
    assert lab.left() == {}


def test_an_add_that_is_told_to_end_undoes_itself_or_finishes(lab: Lab, cni: Caller) -> None:
    cni.add(WEB, "warm", lab.netns("warm"))
    cni.delete(WEB, "warm", "/var/run/netns/warm")
    for step in range(16):
        name = f"t{step}"
        netns = lab.netns(name)
        answer = cut_short(lab, "ADD", name, 0.02 * (step + 1), signal.SIGTERM)
        if b'"ips"' in answer:
            cni.delete(WEB, name, netns)
        assert settled(lab) == {}, f"told to end at step {step}: {answer!r}"
