"""The wheel and the sdist outside the repository: what they hold runs, and the sdist's own tests pass there."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest

from calico_rkt.plugin.install.payload import checksum

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONF = """{"cniVersion": "1.0.0", "name": "web", "type": "calico",
"ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}"""


def ran(*argv: str | Path, cwd: Path, **more: str) -> str:
    """stdout of what has to succeed, outside the repository, with nothing of this run in its environment."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PYTHON", "CALICO", "COVERAGE"))}
    done = subprocess.run(argv, cwd=cwd, env=env | more, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built as `make release` does."""
    folder = tmp_path_factory.mktemp("built")
    ran(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


def test_the_wheel_s_commands_run_in_a_fresh_venv(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    ran(sys.executable, "-m", "venv", "venv", cwd=tmp_path)
    programs = tmp_path / "venv" / "bin"
    ran(programs / "pip", "install", "-q", "--disable-pip-version-check", wheel, cwd=tmp_path)
    (tmp_path / "web.conf").write_text(CONF)
    assert ran(programs / "calico-rkt", "--version", cwd=tmp_path).startswith("calico-rkt ")
    text = ran(programs / "compile-profile", "web.conf", "--target", "nftables", cwd=tmp_path)
    assert "table inet calico_rkt" in text
    assert ran(programs / "calico-rkt", "compile", "web.conf", "--target", "nftables", cwd=tmp_path) == text
    assert "web" in ran(programs / "calico-rkt", "matrix", "-C", ".", cwd=tmp_path)
    refused = subprocess.run(
        [programs / "calico-rkt", "install", "--yes"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, "has the commands only" in refused.stderr) == (2, True), refused


def test_both_have_our_licence(built: Path) -> None:
    (wheel,), (source,) = built.glob("*.whl"), built.glob("*.tar.gz")
    licence = (ROOT / "LICENSE").read_bytes()
    with zipfile.ZipFile(wheel) as inside:
        (name,) = (n for n in inside.namelist() if n.endswith("LICENSE"))
        assert inside.read(name) == licence
    with tarfile.open(source) as inside_source:
        (member,) = (m for m in inside_source.getmembers() if m.name.count("/") == 1 and m.name.endswith("LICENSE"))
        found = inside_source.extractfile(member)
        assert found is not None
        assert found.read() == licence


def test_the_sdist_s_tests_pass_where_it_is_unpacked(built: Path, tmp_path: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as inside:
        inside.extractall(tmp_path, filter="data")
    (top,) = tmp_path.iterdir()
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "-m", "not slow")
    with tempfile.TemporaryDirectory(prefix="crk-", dir="/tmp") as short:  # the path of a socket has 108 bytes
        base = f"--basetemp={short}/t"
        said = ran(*command, base, "tests/unit", "tests/golden", cwd=top, PYTHONPATH=str(top / "src"))
    assert " passed" in said
    ran(sys.executable, "packaging/build.py", cwd=top, PYTHONPATH=str(top / "src"))
    assert ran(top / "dist" / "calico", "--version", cwd=top).startswith("calico-rkt ")


def test_what_is_bundled_has_its_licence() -> None:
    with zipfile.ZipFile(ROOT / "dist" / "calico") as inside:
        texts = {name.split("/")[1].lower(): inside.read(name) for name in inside.namelist() if "licenses/" in name}
    bundled = {"calico-rkt", "jinja2", "markupsafe", "netaddr", "python-etcd", "pyyaml", "urllib3"}
    assert set(texts) >= bundled
    assert all(len(text) > 500 for text in texts.values())


def test_the_same_tree_makes_the_same_file(tmp_path: Path) -> None:
    first = checksum((ROOT / "dist" / "calico").read_bytes())  # of bytes pytest would show the difference, for hours
    ran("git", "clone", "-q", ROOT, "again", cwd=tmp_path)
    changes = subprocess.run(["git", "diff", "HEAD", "--binary"], cwd=ROOT, capture_output=True, check=True).stdout
    if changes:
        subprocess.run(["git", "apply"], cwd=tmp_path / "again", input=changes, check=True)
    ran(sys.executable, "packaging/build.py", cwd=tmp_path / "again", PYTHONPATH="src", COLUMNS="40", LC_ALL="C")
    assert checksum((tmp_path / "again" / "dist" / "calico").read_bytes()) == first
