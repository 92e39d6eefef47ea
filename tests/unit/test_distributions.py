"""The wheel and the sdist outside the repository: what they hold runs, and the sdist's own tests pass there."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

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
    """A folder with both, built as `make release` does; one at a time, since setuptools copies beside the sources."""
    folder = tmp_path_factory.mktemp("built")
    with (ROOT / "setup.py").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
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
    bundled = {"calico-rkt", "jinja2", "markupsafe", "netaddr", "pyroute2", "python-etcd", "pyyaml", "urllib3"}
    assert set(texts) >= bundled
    assert all(len(text) > 500 for text in texts.values())


def test_the_bill_of_materials_is_valid_and_names_what_is_bundled() -> None:
    text = (ROOT / "dist" / "sbom.cdx.json").read_text()
    with zipfile.ZipFile(ROOT / "dist" / "calico") as inside:
        assert inside.read("sbom.cdx.json").decode() == text
        bundled = {name.split("/")[1] for name in inside.namelist() if name.startswith("licenses/")}
        folders = {name.split("/")[0] for name in inside.namelist() if name.endswith(".py") and "/" in name}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    parts = {part["name"]: part for part in json.loads(text)["components"]}
    python = {name for name, part in parts.items() if part["purl"].startswith("pkg:pypi/")}
    assert parts.keys() - python == {"libyaml", "glibc", f"gcc-{_gcc()}"}
    assert {name.lower() for name in bundled} == {"calico-rkt"} | python
    assert folders == {"calico_rkt", "etcd", "yaml"} | python - {"python-etcd", "pyyaml"}
    locked = (ROOT / "packaging" / "locks" / "build.txt").read_text()
    assert all(f"{name}=={parts[name]['version']} " in locked for name in python)


def _gcc() -> str:
    return ran(os.environ.get("CC", "gcc"), "-dumpversion", cwd=ROOT).strip().partition(".")[0]


def test_the_same_tree_makes_the_same_file_in_another_folder_of_another_user(tmp_path: Path) -> None:
    """Tree, packages, umask, time zone, language and the order of sets are others."""
    first = checksum((ROOT / "dist" / "calico").read_bytes())  # of bytes pytest would show the difference, for hours
    ran("git", "clone", "-q", ROOT, "again", cwd=tmp_path)
    changes = subprocess.run(["git", "diff", "HEAD", "--binary"], cwd=ROOT, capture_output=True, check=True).stdout
    if changes:
        subprocess.run(["git", "apply"], cwd=tmp_path / "again", input=changes, check=True)
    shutil.copytree(sysconfig.get_path("purelib"), tmp_path / "packages", ignore=shutil.ignore_patterns("z3*", "mypy*"))
    other = {
        "PYTHONPATH": f"src:{tmp_path / 'packages'}",
        "PYTHONHASHSEED": "7",
        "COLUMNS": "40",
        "LC_ALL": "C",
        "TZ": "Asia/Kolkata",
        "HOME": str(tmp_path),
    }
    bare = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    build = f"umask 077; exec {bare} packaging/build.py"
    ran("sh", "-c", build, cwd=tmp_path / "again", **other)
    assert checksum((tmp_path / "again" / "dist" / "calico").read_bytes()) == first
    materials = "dist/sbom.cdx.json"
    assert (tmp_path / "again" / materials).read_bytes() == (ROOT / materials).read_bytes()
