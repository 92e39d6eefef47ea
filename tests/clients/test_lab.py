"""What is tried in a lab or in tests/apart.sh changes nothing of the machine: neither does an `install`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.support.lab import Lab, environment

pytestmark = [pytest.mark.kernel, pytest.mark.clients]
ROOT = Path(__file__).parents[2]
OWN = ("/etc", "/opt", "/run", "/srv", "/var/lib", "/var/log")
MACHINE_S = ("/", "/usr", "/usr/lib", "/usr/lib/cni", "/usr/local/bin", "/usr/share", "/var", "/var/cache", "/root")
NAME = "written-by-a-test-of-calico-rkt"
INSTALLED = ("/usr/lib/cni/calico", "/usr/local/bin/calico-rkt", "/etc/tmpfiles.d/calico-rkt.conf")


def test_nothing_that_is_written_in_a_lab_is_the_machine_s(bare_lab: Lab) -> None:
    linked = [str(p) for p in Path("/etc").iterdir() if p.is_dir() and p.name not in ("cni", "calico-rkt", "rkt")]
    refused = [*MACHINE_S, *linked, "/lib", "/bin", str(ROOT), str(Path(sys.executable).resolve().parent)]
    script = 'for folder; do (: >"$folder/$0") 2>/dev/null && echo "$folder"; done; true'
    written = bare_lab.out("sh", "-c", script, NAME, *refused, *OWN).splitlines()
    assert written == list(OWN)
    assert [folder for folder in (*refused, *OWN) if Path(folder, NAME).exists()] == []


def test_an_install_in_a_lab_is_refused_and_leaves_the_machine_as_it_is(bare_lab: Lab) -> None:
    done = bare_lab.run("/opt/cni/bin/calico", "install", "--yes", "--copy", env=environment())
    assert done.returncode == 2
    assert b"nothing is installed: /usr/lib/cni can not be written" in done.stderr
    assert not any(map(Path.exists, map(Path, INSTALLED)))


def test_an_install_in_apart_sh_is_gone_with_it(binary: Path) -> None:
    tried = f"{binary} install --yes && ls {' '.join(INSTALLED)} && : >/srv/{NAME}"
    done = subprocess.run(
        [ROOT / "tests/apart.sh", "sh", "-euc", tried], capture_output=True, env=environment(), check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert not any(map(Path.exists, map(Path, (*INSTALLED, f"/srv/{NAME}"))))
