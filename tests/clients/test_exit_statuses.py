"""Each exit status that a command on a host names in its --help is one that it gives, on one host in one day."""

from __future__ import annotations

import json

import pytest

from calico_rkt.compiler.cli.commands import REVIEW
from calico_rkt.compiler.cli.help_text import exit_statuses
from calico_rkt.plugin.commands.tree import COMMANDS, parser_for
from tests.clients.support.attaching import CALICO
from tests.clients.support.lab import OVERRIDES, Lab, conf, environment, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

LISTENING = "for i in $(seq 400); do [ -S /run/calico-rkt/agent.sock ] && break; sleep 0.05; done"
TOLD_TO_END = f"{CALICO} agent & agent=$!; {LISTENING}; kill $agent; wait $agent"
"""What an agent gives that is told to end."""
DAY = f"""
1 init --for rkt --dry-run
0 init back 10.2.0.0/24 --for rkt --yes
2 init
1 network add web 10.1.0.0/24 --for rkt --dry-run
0 network add web 10.1.0.0/24 --for rkt --yes
2 network add web 10.1.0.0/24 --for rkt --yes
0 attach web c1
2 attach web nowhere
0 apply --yes
0 status
2 status -C /nowhere
0 attest
0 export -o /run/all.yaml
2 export -C /nowhere
0 import /run/all.yaml
2 import /nowhere
0 ls
0 ls web
1 ls nobody
2 ls -C /nowhere
0 logs web
1 logs nobody
2 logs --since soon
! (for i in $(seq 60); do ip netns exec c1 ping -c1 -W1 192.0.2.9; sleep 0.5; done) >/dev/null 2>&1 &
0 trace web outside --count 1
1 trace web 192.0.2.10 --for 0.1
2 trace web nowhere
1 gc --attachment web/netns-c1/eth0
0 gc
2 gc --force
0 restore
2 restore --now
0 doctor
2 doctor --yes
! printf 'network: web\\negress: []\\n' >{OVERRIDES}/web.yaml
1 apply --dry-run
2 apply
0 apply web --yes
1 attest /run/lab/other
2 attest /nowhere
0 attach back c1 --ifname eth1
! cp -r {OVERRIDES} /run/lab/less/profiles
3 attest /run/lab/less
1 import /run/all.yaml --dry-run
! nft add rule inet calico_rkt forward accept
1 status
1 doctor
! nft delete table inet calico_rkt; mv /var/lib/calico-rkt/profiles /var/lib/calico-rkt/gone
1 restore
! mv /var/lib/calico-rkt/gone /var/lib/calico-rkt/profiles
0 restore
0 detach back c1 --ifname eth1
0 detach web c1
1 detach web c1
1 prune --dry-run
2 prune
0 prune --yes
2 detach web
0 downgrade
2 downgrade --now
0 netavark info
1 netavark create
! {TOLD_TO_END}
2 agent --metrics 192.0.2.1:80
1 install --root /run/lab/image --dry-run
0 install --root /run/lab/image --yes
2 install --root /nowhere
1 uninstall --root /run/lab/image --dry-run
0 uninstall --root /run/lab/image --yes
2 uninstall --root /nowhere
"""
"""An exit status and a command of ours, or after ! what somebody does to the host; in this order."""


STEPS = tuple((wanted, words) for wanted, _, words in (line.partition(" ") for line in DAY.strip().splitlines()))


def test_every_exit_status_that_a_command_names_has_its_line_here() -> None:
    tried: dict[str, set[int]] = {"agent": {0}}
    for wanted, words in STEPS:
        if wanted != "!":
            tried.setdefault(words.partition(" ")[0], set()).add(int(wanted))
    here = COMMANDS.keys() - REVIEW.keys() - {"compile"}
    assert tried == {name: set(exit_statuses(parser_for(name).epilog or "")) for name in here}, "add lines to DAY"


@pytest.mark.slow
def test_each_exit_status_that_a_command_names_is_one_that_it_gives(bare_lab: Lab) -> None:
    for folder in ("/run/lab/other", "/run/lab/less"):
        bare_lab.write(f"{folder}/web.conf", json.dumps(conf("web", pool("10.1.0.0/24"))))
    bare_lab.write("/run/lab/image/etc/hostname", "image\n")
    bare_lab.netns("c1")
    for wanted, words in STEPS:
        if wanted == "!":
            bare_lab.out("sh", "-c", words)
            continue
        done = bare_lab.run(CALICO, *words.split(), env=environment())
        assert done.returncode == int(wanted), (words, done)
        assert b"Traceback" not in done.stderr
