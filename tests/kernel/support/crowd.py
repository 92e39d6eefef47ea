"""A Lab and a number in; a host of so many endpoints, in some networks, and what attest says of it, out.

Endpoints are interfaces alone, without containers (the other ends are in one namespace): what is proven is the table,
and no packet is sent.
"""

from __future__ import annotations

import time
from ipaddress import ip_address, ip_network
from pathlib import Path

from calico_rkt.compiler.targets.nftables.write import join_nftables, nftables_piece
from calico_rkt.plugin.attest.host import surroundings
from calico_rkt.plugin.attest.judge import judge
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.outcome import Attestation
from calico_rkt.plugin.attest.reading import read_kernel
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.enforce.nft.elements import EndpointElements, to_host_script
from calico_rkt.plugin.link.groups import group_of
from tests.kernel.support.attested import OVERRIDES, reviewed
from tests.kernel.support.enforce_world import HOST, inside
from tests.kernel.support.namespaces import Lab

RANGES = tuple(map(ip_network, ("10.65.0.0/16", "fd65::/64")))


def beside(count: int) -> dict[str, str]:
    """Overrides of so many networks, each of which is open to web at a port of its own."""
    rule = "- {{action: Allow, protocol: TCP, source: {{network: web}}, destination: {{ports: [{}]}}}}"
    return {f"net{n}": f"network: net{n}\ningress:\n  {rule.format(9000 + n)}\n  - default\n" for n in range(count)}


MORE = beside(3)
IDS = [*OVERRIDES, *MORE]


class Crowd:
    """Endpoint n, from 1, is of network (n - 1) % 6 in IDS, and has the addresses 10.65.0.n and fd65::n."""

    def __init__(self, lab: Lab, folder: Path, size: int) -> None:
        self.lab = lab
        networks = reviewed(folder, OVERRIDES | MORE, RANGES)
        known = [(n, IDS[(n - 1) % len(IDS)]) for n in range(1, size + 1)]
        endpoints = tuple(
            Known(f"c{n}", i, f"crk{n:012x}", (RANGES[0][n], RANGES[1][n]), ip_masq=i == "api") for n, i in known
        )
        self._links(endpoints)
        wanted = Wanted(networks, endpoints, RANGES, "up0", {v: ip_address(a) for v, a in HOST.items()})
        with inside(lab.host):
            self.wanted = surroundings(wanted)
        self._elements = [EndpointElements(e.ifname, e.addresses, e.network_id, ip_masq=e.ip_masq) for e in endpoints]
        pieces = [nftables_piece(n) for n in networks.values()]
        to_host = [to_host_script(n.id, n.endpoint_to_host) for n in networks.values()]
        self._scripts = dict.fromkeys(sorted(networks)[1:], "")
        self._scripts[min(networks)] = join_nftables(pieces) + "".join(to_host)
        self.restore()

    def _links(self, endpoints: tuple[Known, ...]) -> None:
        far = Path(self.lab.container()).name
        lines = [f"link add up0 type veth peer name up1 netns {far}", "link set up0 up"]
        lines += [
            f"link add {e.ifname} group {group_of(e.network_id)} type veth peer name e{n} netns {far}"
            for n, e in enumerate(endpoints)
        ]
        lines += [f"link set {e.ifname} up" for e in endpoints]
        self._ip("-0", lines)
        for version, net in zip((4, 6), RANGES, strict=True):
            lines = [f"addr add {HOST[version]} dev up0", "route add default dev up0"]
            lines += [f"route add {a} dev {e.ifname}" for e in endpoints for a in e.addresses if a.version == version]
            self._ip(f"-{version}", [*lines, f"route add unreachable {net} metric 4294967295"])

    def _ip(self, family: str, lines: list[str]) -> None:
        self.lab.run(self.lab.host, ["ip", family, "-batch", "-"], "\n".join(lines) + "\n", check=True)

    def restore(self) -> None:
        """The table as the plugin builds it, in place of what is there."""
        with inside(self.lab.host):
            table.build_table(self._elements, self._scripts, RANGES)

    def edited(self, edit: str) -> tuple[Attestation, float]:
        """What attest says of an edit, which is taken back; and how many seconds of processor time it took."""
        self.lab.run(self.lab.host, ["sh", "-ec", self._filled_in(edit)], check=True)
        try:
            return self.attest()
        finally:
            self.restore()

    def attest(self) -> tuple[Attestation, float]:
        """The same of the table as it is."""
        begun = time.process_time()
        with inside(self.lab.host):
            found = judge(read_kernel(), self.wanted)
        return found, time.process_time() - begun

    def _filled_in(self, text: str) -> str:
        """E7 becomes the interface of endpoint 7."""
        for n in range(len(self.wanted.endpoints), 0, -1):
            text = text.replace(f"E{n}", f"crk{n:012x}")
        return text
