"""A Lab in; a host with endpoints of reviewed networks, and what attest says of it, out."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from pathlib import Path

from calico_rkt.compiler.review.build import build_world
from calico_rkt.compiler.targets.nftables.write import join_nftables, nftables_piece
from calico_rkt.compiler.workspace.folder import open_folder
from calico_rkt.plugin.attest.judge import judge
from calico_rkt.plugin.attest.oracle import Known, Wanted
from calico_rkt.plugin.attest.reading import read_kernel
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.enforce.nft.elements import to_host_script
from tests.kernel.support import enforce_world as w

RANGES = tuple(map(ip_network, ("10.65.0.0/24", "fd65::/64")))
OVERRIDES = {
    "web": """\
network: web
ingress:
  - {action: Log, protocol: ICMP}
  - action: Allow
    protocol: TCP
    source: {network: api}
    destination: {ports: [80, "8000:8100"]}
  - {action: Deny, source: {nets: [198.51.100.0/24, "2001:db8:5::/48"]}}
  - {action: Allow, protocol: UDP}
  - {action: Allow, protocol: ICMP, icmp: {type: 8, code: 0}}
  - default
egress:
  - {action: Deny, destination: {nets: [169.254.169.254/32]}}
  - {action: Deny, protocol: TCP, destination: {ports: [25]}}
  - default
endpoint_to_host: accept
""",
    "api": """\
network: api
ingress:
  - {action: Allow, protocol: TCP, source: {notSelector: has(shut)}}
egress:
  - {action: Allow, ipVersion: 4, protocol: 47}
  - {action: Allow, notProtocol: 47}
""",
    "shut": "network: shut\ningress: []\negress: []\n",
}


def reviewed(folder: Path, overrides, ranges):
    """By id the networks of a folder that is made here: overrides by name, and ranges that all of them have."""
    (folder / "profiles").mkdir(parents=True)
    for name, text in overrides.items():
        known = {"cniVersion": "1.0.0", "name": name, "type": "calico"}
        known["ipam"] = {"type": "host-local", "ranges": [[{"subnet": str(r)}] for r in ranges]}
        (folder / f"{name}.conf").write_text(json.dumps(known))
        (folder / "profiles" / f"{name}.yaml").write_text(text)
    return {n.id: n for n in build_world(open_folder(folder, {})).networks.values()}


class Attested(w.World):
    """Two endpoints of web, one of api (masqueraded) and one of shut, both families; rules as OVERRIDES has them."""

    def __init__(self, lab, folder: Path, overrides=OVERRIDES) -> None:
        super().__init__(lab)
        self.folder = folder
        self.networks = reviewed(folder, overrides, RANGES)
        self.sh(
            self.host,
            f"ip route add default via {w.OUTSIDE[4]}\nip -6 route add default via {w.OUTSIDE[6]}\n"
            f"ip -6 route add 2001:db8::9 via {w.OUTSIDE[6]}\n"
            "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0\n"
            f"ip route add unreachable {RANGES[0]} metric 4294967295\n"
            f"ip -6 route add unreachable {RANGES[1]} metric 4294967295",
        )
        self.ends = {}
        for network_id in [n for n in ("web", "web", "api", "shut") if n in self.networks]:
            end = self.end(network_id)
            self.ends[end.ifname] = (end, network_id)
        names = (f"{end.ifname}.rp_filter" for end, _ in self.ends.values())
        self.sh(self.host, "\n".join(f"sysctl -qw net.ipv4.conf.{n.replace('.', '/', 0)}=0" for n in names))
        self.wanted = Wanted(
            self.networks,
            tuple(
                Known(f"c{n}", i, end.ifname, tuple(map(ip_address, end.address.values())), ip_masq=i == "api")
                for n, (end, i) in enumerate(self.ends.values())
            ),
            RANGES,
            "up0",
            {v: ip_address(a) for v, a in w.HOST.items()},
        )
        pieces = [nftables_piece(n) for n in self.networks.values()]
        to_host = [to_host_script(n.id, n.endpoint_to_host) for n in self.networks.values()]
        self._scripts = dict.fromkeys(sorted(self.networks)[1:], "")
        self._scripts[min(self.networks)] = join_nftables(pieces) + "".join(to_host)
        self.restore()

    def restore(self):
        """The table as the plugin builds it, in place of what is there."""
        elements = [end.elements(i, ip_masq=i == "api") for end, i in self.ends.values()]
        with w.inside(self.host):
            table.build_table(elements, self._scripts, RANGES)

    def attest(self):
        with w.inside(self.host):
            return judge(read_kernel(), self.wanted)

    def filled_in(self, text):
        """WEB1, WEB2, API, SHUT become interfaces, WEB1_4 and WEB1_6 and so on their addresses."""
        for name, (end, _) in zip(("WEB1", "WEB2", "API", "SHUT"), self.ends.values(), strict=True):
            for version, address in end.address.items():
                text = text.replace(f"{name}_{version}", address)
            text = text.replace(name, end.ifname)
        return text
