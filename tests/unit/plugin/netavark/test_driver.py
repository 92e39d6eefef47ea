"""The door's verbs, which two files know, and no command has."""

from __future__ import annotations

from calico_rkt.plugin.commands.tree import COMMANDS
from calico_rkt.plugin.main import NETAVARK
from calico_rkt.plugin.netavark.driver import VERBS


def test_the_front_door_knows_the_driver_s_verbs_and_no_command_is_called_so() -> None:
    assert set(NETAVARK) == set(VERBS)
    assert not set(VERBS) & set(COMMANDS)
