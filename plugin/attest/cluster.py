"""A cluster's profiles, what Felix has in this kernel, and the reviewed networks in; what differs and what is open out.

Felix enforces there, by rules of its own: what can be shown is that it runs, that each endpoint of ours has its chains,
and that the datastore holds what was reviewed. Its rules stay open, so no host of a cluster is ever called equal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.evaluate import evaluate
from calico_rkt.compiler.ir.model import Network
from calico_rkt.compiler.packets.budget import UndecidedError
from calico_rkt.compiler.packets.compare import told_apart
from calico_rkt.compiler.targets.calico_v1.read import read_calico_v1
from calico_rkt.compiler.targets.calico_v3.read import read_calico_v3
from calico_rkt.plugin.attest.outcome import Difference
from calico_rkt.plugin.attest.ruleset import KernelRules

FELIX_S_OWN = "the rules by which Felix enforces: Felix's own"
_CHAINS = {"to": "cali-tw-", "from": "cali-fw-"}
"""What Felix calls an interface's chains (felix/rules/rule_defs.go); nftables mode puts a word before."""
_READERS = {"calico-v3": read_calico_v3, "calico-v1": read_calico_v1}
_PROGRAMS = ("calico-felix", "felix")


def profile_differs(reviewed: Network, text: str, where: str, target: str) -> Iterator[Difference | str]:
    """A published profile's text, edited or not, compared with what was reviewed as sets of packets.

    target: what it is written in.
    """
    what = f"the profile {reviewed.id} in {where}"
    if not text:
        yield f"{what} is not there: endpoints of {reviewed.name} would get the bare default, or none"
        return
    try:
        back = _READERS[target](text)
    except CompileError as e:
        yield f"{what} can not be read: {e.diagnostics[0].message}"
        return
    if reviewed.id not in back.labels:
        yield f"{what} does not apply the label {reviewed.id}: others' rules do not know its endpoints"
    for label in back.labels:
        if label != reviewed.id:
            says = f"where rules ask for {label.partition('=')[0]}, its endpoints are meant, too"
            yield Difference(f"{what} applies the label {label}", says, f"they have the label {reviewed.id} alone")
    for direction in ("ingress", "egress"):
        rules, wanted = getattr(back, direction), getattr(reviewed, direction)
        try:
            packet = told_apart(rules, wanted, frozenset())
        except UndecidedError as e:
            yield f"{what}, {direction}: {e}"
            continue
        if packet is not None:
            verdicts = [evaluate(one, packet) for one in (rules, wanted)]
            words = ["passes" if v.allowed else "is dropped" for v in verdicts]
            span = verdicts[1].rule.span if verdicts[1].rule is not None else None
            shown = f"{words[1]}: {direction} of {reviewed.name}"
            yield Difference(f"{what} lets other packets through", words[0], shown, None, packet, direction, span)


def felix_lacks(rules: KernelRules, ifnames: Collection[str], legacy: Callable[[], str]) -> Iterator[str]:
    """Endpoints' interfaces that no chain of Felix is for. legacy: what iptables-legacy lists."""
    there = {chain for table in rules.tables.values() for chain in table.chains}
    listed = None
    for ifname in sorted(ifnames):
        for way, prefix in _CHAINS.items():
            name = f"{prefix}{ifname}"
            if any(chain == name or chain.endswith(f"-{name}") for chain in there):
                continue
            listed = legacy() if listed is None else listed
            if f"-N {name}\n" not in listed:
                yield f"Felix has no chain in this kernel for what goes {way} {ifname}"


def felix_runs(proc: Path = Path("/proc")) -> bool:
    """Whether a process is Felix: calico-node with -felix, or calico-felix."""
    for entry in proc.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        name = words[0].rpartition(b"/")[2].decode(errors="replace")
        if name in _PROGRAMS or (name == "calico-node" and b"-felix" in words):
            return True
    return False
