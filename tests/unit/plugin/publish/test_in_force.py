"""Claims about what is in force where a published profile can't be read."""

from __future__ import annotations

from ipaddress import ip_network
from types import SimpleNamespace

from calico_rkt.compiler.ir.model import Action, Match, Rule, Side
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.publish import in_force
from tests.worlds import conf, world

LONG = tuple(
    Rule(Action.ALLOW, Match(ip_version=4, source=Side(nets=(ip_network(f"10.{n >> 8}.{n & 255}.0/25"),))))
    for n in range(1100)
)
"""More rules than Calico takes: they are published merged, and so under another digest than their own."""


def test_a_profile_that_can_not_be_read_is_told_of_once(monkeypatch):
    def network(_):
        raise CniError(Code.PROFILE_UNUSABLE, "the profile was edited")

    here = world([conf("web", ip_network("10.9.0.0/24"))], {"web": (LONG, ())})
    workspace = SimpleNamespace(every_name=("web",))
    host = SimpleNamespace(workspace=workspace, known=here.confs, files={"web": ()})
    monkeypatch.setattr(in_force, "build_world", lambda _: here)
    monkeypatch.setattr(in_force, "world_of", lambda _, networks, _known: networks)
    networks, notes, _ = in_force.world_in_force(host, SimpleNamespace(network=network))
    assert notes == ("web: the profile was edited; this is what the files say",)
    assert networks == here.networks
