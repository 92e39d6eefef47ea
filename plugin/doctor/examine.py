"""A host in; everything that its checks find, in their order, out: the table of the checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from calico_rkt.plugin.doctor import agent, clusters, confs, files, installed, kernel, policy, records
from calico_rkt.plugin.doctor.finding import ERROR, Check, Finding, Seen
from calico_rkt.plugin.doctor.host import Host
from calico_rkt.plugin.errors import CniError

CHECKS: tuple[tuple[str, Callable[[Host], Check]], ...] = (
    ("what the kernel needs", kernel.library),
    ("the kernel", kernel.features),
    ("folders", records.folder_modes),
    ("folders of policy", records.policy_modes),
    ("file systems", records.space),
    ("what was installed", installed.files),
    ("plugins called calico", installed.plugins),
    ("systemd units", installed.units),
    ("runtimes' configuration", confs.configurations),
    ("who reads the confs", confs.unread),
    ("the plugins of confs", confs.plugins),
    ("the confs' versions", confs.versions),
    ("the first conf of a folder", confs.first),
    ("confs and overrides", files.files),
    ("records", records.readable),
    ("locks", records.locks),
    ("the clock", records.clock),
    ("the agent", agent.agent),
    ("published profiles", policy.networks),
    ("forwarding", policy.forwarding),
    ("uplinks", kernel.uplinks),
    ("the table", policy.table),
    ("other firewalls", policy.firewalls),
    ("sysctls", policy.settings),
    ("conntrack", kernel.flows),
    ("clusters", clusters.clusters),
)
"""In the order in which a person would look: what the others rest on comes first."""


def examine(host: Host) -> Iterator[Seen]:
    """What each check sees; one that fails is a finding, and keeps no other from its turn."""
    for name, check in CHECKS:
        try:
            yield from check(host)
        except (CniError, OSError) as e:
            words = e.msg if isinstance(e, CniError) else f"{e.filename or ''} {e.strerror or e}".strip()
            advice = e.details.strip() if isinstance(e, CniError) else ""
            yield Finding(
                "CR900",
                ERROR,
                f"{name} can't be looked at: {words}",
                "what else is wrong there is not known",
                advice or "calico-rkt status",
                advice=bool(advice),
            )
