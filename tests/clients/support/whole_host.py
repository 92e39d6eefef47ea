"""A lab in, a host where all of ours is installed, as `calico-rkt install` does it, out; and what doctor says of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from calico_rkt.compiler.cli.formats.json_schema import answers
from tests.clients.support.lab import OUTSIDE_V4, Lab, environment

CALICO = "/usr/lib/cni/calico"
_VALIDATOR = Draft202012Validator(answers())
# The machine's /usr and what of its /etc an install writes to become this host's own: what is changed there is memory.
_OWN = """
set -eu
mkdir -p /run/lab/usr/upper /run/lab/usr/work
mount -t overlay -o lowerdir=/usr,upperdir=/run/lab/usr/upper,workdir=/run/lab/usr/work overlay /usr
for name in bash_completion.d containerd containers logrotate.d systemd tmpfiles.d; do
    rm -f "/etc/$name"
    if [ -e "/run/lab/etc/$name" ]; then cp -a "/run/lab/etc/$name" "/etc/$name"; else mkdir "/etc/$name"; fi
done
rm -f /etc/containers/containers.conf
"""


def make_whole(lab: Lab, binary: Path) -> None:
    """Install it there, and give the host a default route of each family."""
    lab.out("sh", "-c", _OWN)
    shutil.copy(binary, lab.path("/run/lab/calico"))
    lab.out("/run/lab/calico", "install", "--yes")
    lab.out("ip", "route", "add", "default", "via", OUTSIDE_V4)
    lab.out("ip", "-6", "route", "add", "default", "via", "2001:db8:ffff::9", "proto", "ra")
    lab.out("sh", "-c", "echo 2 >/proc/sys/net/ipv6/conf/out0/accept_ra")


def doctor(
    lab: Lab, *argv: str, env: Mapping[str, str] | None = None, under: tuple[str, ...] = ()
) -> tuple[int, str, str]:
    """Exit status and both streams of `calico-rkt doctor`."""
    done = lab.run(*under, CALICO, "doctor", *argv, env=env or environment())
    assert b"Traceback" not in done.stdout + done.stderr, done
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def findings(lab: Lab, env: Mapping[str, str] | None = None, under: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """What doctor finds, as its JSON has it; the exit status says whether there is anything."""
    status, out, err = doctor(lab, "--format", "json", env=env, under=under)
    loaded = json.loads(out)
    _VALIDATOR.validate(loaded)
    found: list[dict[str, Any]] = loaded["findings"]
    assert status == int(bool(found)), (status, out, err)
    return found
