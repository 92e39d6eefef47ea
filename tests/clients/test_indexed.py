"""The index of dist/calico, by which a CNI call finds its modules: the same files, and the zip for another Python."""

from __future__ import annotations

import json
import marshal
import os
import subprocess
import zipfile
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from tests.launcher import start

pytestmark = pytest.mark.clients

_SAYS = 47
_REFUSED = b'{"cniVersion": "1.0.0", "name": "web", "type": "calico", "ipam": {"type": "host-local"}}'


def called(argv: list[str], folder: Path, own: int | None = None) -> subprocess.CompletedProcess[bytes]:
    """An ADD whose conf is refused, logged to a file of this folder; own: a descriptor that it inherits."""
    env = {"PATH": os.environ["PATH"], "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0"}
    env |= {"CNI_NETNS": "/proc/self/ns/net", "CALICO_RKT_LOG": str(folder / "log"), "CALICO_RKT_RUN_DIR": str(folder)}
    inherited = () if own is None else (own,)
    return subprocess.run(argv, input=_REFUSED, env=env, capture_output=True, check=False, pass_fds=inherited)


def test_each_file_but_sources_is_where_the_index_says(binary: Path) -> None:
    data = binary.read_bytes()
    made_by, whole, at, length = data[-_SAYS:].split()
    if made_by.decode() != MAGIC_NUMBER.hex():
        pytest.skip("it was built for another Python")
    archive = data[-int(whole) :]
    _, names = marshal.loads(archive[int(at) :][: int(length)])
    with zipfile.ZipFile(binary) as inside:
        assert set(names) == {name for name in inside.namelist() if not name.endswith(".py") and name != "index"}
        for name, (begin, size) in names.items():
            assert archive[begin : begin + size] == inside.read(name), name


def test_another_python_does_the_call_all_the_same(binary: Path, tmp_path: Path) -> None:
    mine = called([str(binary)], tmp_path)
    assert (mine.returncode, json.loads(mine.stdout)["code"]) == (1, 7), mine
    data = bytearray(binary.read_bytes())
    data[-_SAYS : -_SAYS + 8] = b"00000000"
    other = tmp_path / "other"
    other.write_bytes(data)
    other.chmod(0o755)
    its = called([str(other)], tmp_path)
    assert (its.returncode, its.stdout, its.stderr) == (mine.returncode, mine.stdout, mine.stderr)


def test_a_call_reads_no_directory_of_the_zip_and_a_traceback_has_its_lines(binary: Path, tmp_path: Path) -> None:
    with binary.open("rb") as file:
        own = file.fileno()
        lame = "import sys; sys.modules['zipimport'] = sys.modules['runpy'] = None\n"
        done = called(["/usr/bin/python3", "-IS", "-c", lame + start(), f"/proc/self/fd/{own}"], tmp_path, own)
        assert json.loads(done.stdout)["code"] == 7, done
        lame = "import sys; sys.modules['fcntl'] = None\n"
        done = called(["/usr/bin/python3", "-IS", "-c", lame + start(), f"/proc/self/fd/{own}"], tmp_path, own)
    assert json.loads(done.stdout)["code"] == 100, done
    assert "    import fcntl\n" in (tmp_path / "log").read_text()
