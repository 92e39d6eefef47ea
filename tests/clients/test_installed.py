"""What is installed: YAML is read by the C parser out of its own file, and templates are compiled."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.clients

PYTHON = ("/usr/bin/python3", "-IS", "-c")
GOLDEN = Path(__file__).parents[1] / "golden"
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); "
_SUFFIX = "from importlib.machinery import EXTENSION_SUFFIXES; print(EXTENSION_SUFFIXES[0])"
_CHECK = "from calico_rkt.plugin.main import main; sys.exit(main())"
WITHOUT = {"absent": "sys.modules['yaml._yaml'] = None; ", "no memory files": "import os; del os.memfd_create; "}


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PYTHON, code, *arguments], capture_output=True, text=True, check=False)


def test_the_parser_is_the_one_in_c_where_it_was_built_for_this_python(binary: Path) -> None:
    inside = set(zipfile.ZipFile(binary).namelist())
    fits = f"yaml/_yaml{run(_SUFFIX).stdout.strip()}" in inside
    done = run(f"{_START}import yaml; print(yaml.__with_libyaml__, yaml.__file__)", str(binary))
    assert done.stdout.split() == [str(fits), f"{binary}/yaml/__init__.pyc"], done.stderr
    assert any(name.startswith("yaml/_yaml.") and name.endswith(".so") for name in inside)


@pytest.mark.parametrize("without", WITHOUT)
def test_without_it_the_answers_are_the_same(binary: Path, tmp_path: Path, without: str) -> None:
    conf = {
        "cniVersion": "1.0.0",
        "name": "web",
        "type": "calico",
        "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"},
    }
    (tmp_path / "profiles").mkdir()
    (tmp_path / "web.conf").write_text(json.dumps(conf))
    for path in GOLDEN.glob("bad/CR10*/profiles/*.y*ml"):
        (tmp_path / "profiles" / f"{path.parent.parent.name}-{path.name}").write_bytes(path.read_bytes())
    arguments = (str(binary), "check", "-C", str(tmp_path), "--format", "json")
    with_it = run(_START + _CHECK, *arguments)
    assert with_it.returncode == 2, with_it.stderr
    assert "CR106" in with_it.stdout
    lame = run(_START + WITHOUT[without] + "import yaml; assert not yaml.__with_libyaml__; " + _CHECK, *arguments)
    assert (lame.returncode, lame.stdout) == (with_it.returncode, with_it.stdout), lame.stderr


def test_templates_are_not_compiled_anew(binary: Path) -> None:
    program = (
        "from calico_rkt.compiler.targets.printing import environment\n"
        "found = environment()\n"
        "found.compile = None\n"
        "for name in sys.argv[1:]:\n"
        "    found.get_template(name)\n"
        "print('taken')\n"
    )
    start = "calico_rkt/templates/"
    inside = zipfile.ZipFile(binary).namelist()
    names = [n.removeprefix(start) for n in inside if n.startswith(start) and n.endswith(".j2")]
    done = run(_START + "\n" + program, str(binary), *names)
    assert names
    assert done.stdout == "taken\n", done.stderr
