"""Every command with odd words in the place of each argument and option: an exit status that it has, in words."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calico_rkt.compiler.cli.help_text import exit_statuses
from calico_rkt.plugin.commands.tree import COMMANDS, parser_for
from tests.clients.support.attaching import CALICO, network
from tests.clients.support.lab import Lab, conf, environment, pool

pytestmark = [pytest.mark.kernel, pytest.mark.clients]

PROGRAM = Path(__file__).parent / "support" / "programs" / "run_lines.py"
LINES = {
    "compile": ["/etc/cni/net.d/10-web.conflist"],
    "check": [],
    "test": [],
    "diff": ["/srv/before"],
    "explain": ["web", "back", "tcp/80"],
    "matrix": [],
    "report": ["-o", "/srv/report.html"],
    "rule": ["CR301"],
    "schema": ["conf"],
    "apply": ["web", "--dry-run"],
    "status": [],
    "attest": [],
    "prune": ["--dry-run"],
    "export": [],
    "import": ["/srv/all.yaml", "--dry-run"],
    "attach": ["web", "c2"],
    "detach": ["web", "c3"],
    "netavark": ["info"],
    "init": ["new", "10.77.0.0/24", "--for", "attach", "--dry-run"],
    "network": ["add", "new", "10.77.0.0/24", "--for", "attach", "--dry-run"],
    "ls": ["web"],
    "logs": ["web"],
    "trace": ["netns-c1", "back", "--for", "0.1"],
    "doctor": [],
    "gc": [],
    "restore": [],
    "install": ["--root", "/srv/image", "--dry-run"],
    "downgrade": [],
    "uninstall": ["--root", "/srv/image", "--dry-run"],
}
"""What each command does here that ends by itself; the agent does not."""
WORDS = (
    *(" ", "a\nb", "a\x1b[31mb", "x" * 5000, "\u0663", "\u00fc", "a=b", "web,back", "..", "-", "--yes", "web"),
    *("-1", "0", "99999999999999999999", "1e3", "0x10", "1.5", "nan", "2026-02-30", "CR8 ", "local", "tcp/http"),
    *("/srv/folder", "/srv/file", "/srv/file/x", "/srv/none", "/srv/loop", "/dev/null", "/proc/1/mem"),
    *("10.91.0.0/33", "010.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0", "http://", "https://[::1", "127.0.0.1:0"),
)
FEW, MANY = 4, 40
"""Lines of each command that are tried, and in a slow run."""
KEPT = ("/etc/cni", "/etc/calico-rkt", "/var/lib/calico-rkt", "/srv", "/opt/cni")


def lines_of(command: str) -> Iterator[list[str]]:
    """Each odd word in the place of each word of its line, behind it, and as each option's value."""
    usual = LINES[command]
    valued = [a for a in parser_for(command)._actions if a.option_strings and a.nargs != 0 and not a.choices]
    for word in WORDS:
        for place in range(len(usual) + 1):
            yield [*usual[:place], word, *usual[place + 1 :]]
        for action in valued:
            yield [*usual, action.option_strings[-1], word]


def kept(lab: Lab) -> dict[str, str]:
    """All that a refused line has to leave as it is: files, links, the kernel's rules."""
    found = {"rules": lab.out("nft", "list", "ruleset"), "links": lab.out("ip", "-o", "link")}
    for folder in KEPT:
        for path in sorted(lab.path(folder).rglob("*")):
            if path.is_file() and not path.is_symlink():
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                found[str(path)] = "link" if path.is_symlink() else "folder"
    return found


@pytest.fixture
def host(bare_lab: Lab) -> Lab:
    """Two networks and a container of each, and files to name."""
    for name, subnet, container in (("web", "10.91.0.0/24", "c1"), ("back", "10.92.0.0/24", "c4")):
        network(bare_lab, conf(name, pool(subnet)))
        bare_lab.netns(container)
        bare_lab.out(CALICO, "attach", name, container)
    for name in ("c2", "c3"):
        bare_lab.netns(name)
    for folder in ("/srv/before", "/srv/folder", "/srv/image"):
        bare_lab.path(folder).mkdir(parents=True)
    bare_lab.write("/srv/before/web.conf", json.dumps(conf("web", pool("10.91.0.0/24"))))
    bare_lab.write("/srv/file", "hello\n")
    bare_lab.path("/srv/loop").symlink_to("/srv/loop")
    bare_lab.out(CALICO, "export", "-o", "/srv/all.yaml")
    return bare_lab


def test_every_command_that_ends_by_itself_has_its_line() -> None:
    assert set(LINES) == set(COMMANDS) - {"agent"}


@pytest.mark.parametrize("command", ["status", "ls", "restore", "export", "attach web c2"])
def test_who_is_not_root_is_told_that_it_takes_root(host: Lab, command: str) -> None:
    before = kept(host)
    user = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    done = host.run(*user, CALICO, *command.split(), env=environment())
    assert done.returncode == 2
    assert b"this is for root: sudo calico-rkt" in done.stderr
    assert b"no log file: Permission denied: /var/log/calico-rkt/calico-rkt.log\n" in done.stderr
    assert b"Errno" not in done.stderr
    assert kept(host) == before


@pytest.mark.parametrize("number", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_an_odd_word_is_answered_in_words_and_where_it_is_refused_nothing_has_changed(host: Lab, number: int) -> None:
    seed = int(os.environ.get("LINES_SEED", random.randrange(2**32)))
    print(f"LINES_SEED={seed}")
    chosen = random.Random(seed)
    argv = host.command(sys.executable, str(PROGRAM), cwd="/srv/folder")
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, env=environment(), text=True) as runner:
        assert runner.stdin is not None
        assert runner.stdout is not None
        for command in LINES:
            given = {*exit_statuses(parser_for(command).epilog or ""), 2}
            lines = list(lines_of(command))
            for line in chosen.sample(lines, min(number, len(lines))):
                before = kept(host)
                runner.stdin.write(json.dumps([command, *line]) + "\n")
                runner.stdin.flush()
                status, out, err = json.loads(runner.stdout.readline())
                told = (command, line, status, out[-2000:], err[-2000:])
                assert status in given, told
                assert "Traceback" not in out + err, told
                assert "\x1b" not in out + err, told
                if status == 2:
                    assert out.strip() or err.strip(), told
                    assert kept(host) == before, told
        runner.stdin.close()
