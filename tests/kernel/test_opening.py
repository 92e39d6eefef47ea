"""Which ICMP types open a flow: this kernel's word against the compiler's table."""

import json

from calico_rkt.compiler.ir.model import ICMP, ICMPV6
from calico_rkt.compiler.packets.opening import OPENING

RULES = """table inet t {
  set seen4 { type icmp_type . ct_state; flags dynamic; }
  set seen6 { type icmpv6_type . ct_state; flags dynamic; }
  chain out { type filter hook output priority 0;
    meta l4proto icmp update @seen4 { icmp type . ct state }
    meta l4proto icmpv6 update @seen6 { icmpv6 type . ct state }
  }
}
"""
SEND = """
import socket
for family, protocol, to in ((socket.AF_INET, 1, "127.0.0.1"), (socket.AF_INET6, 58, "::1")):
    s = socket.socket(family, socket.SOCK_RAW, protocol)
    for kind in range(256):
        # The kernel fills ICMPv6's checksum in, ICMP's has to be right.
        total = ~(kind << 8) & 0xffff if family == socket.AF_INET else 0
        s.sendto(bytes([kind, 0]) + total.to_bytes(2, "big") + bytes(60), (to, 0))
"""


def test_the_kernel_opens_flows_for_just_the_types_of_the_table(lab):
    lab.run(lab.host, ["nft", "-f", "-"], RULES, check=True)
    lab.python(lab.host, SEND)
    for number, name in ((ICMP, "seen4"), (ICMPV6, "seen6")):
        said = json.loads(lab.run(lab.host, ["nft", "-jn", "list", "set", "inet", "t", name], check=True).stdout)
        seen = {tuple(e["concat"]) for e in said["nftables"][1]["set"]["elem"]}
        # 1 invalid, 2 established, 4 related, 8 new, 64 untracked; an echo to oneself is answered as well.
        opened = {int(kind) for kind, state in seen if int(state) in (8, 64)}
        assert opened == OPENING[number]
        assert len({kind for kind, _ in seen}) == 256
