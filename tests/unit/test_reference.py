"""docs/reference/ is what the code says, whole, and whoever changes the code learns how it is made anew."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from calico_rkt.compiler.conf.schema import conf_schema
from calico_rkt.compiler.grammar.schema import schema

ROOT = Path(__file__).parents[2]
GOLDEN = [p for p in (ROOT / "tests" / "golden").glob("*/*.conf*") if p.suffix in (".conf", ".conflist")]
READ_IN_PYTHON = re.compile(r'environ(?:\.get\(|\[)\s*"([A-Z][A-Z_]+)"')
READ_IN_C = re.compile(r'getenv\("([A-Z][A-Z_]+)"\)')
NAMED = re.compile(r'"((?:ETCD|CNI|CALICO_RKT)_[A-Z_]*[A-Z])"')
SET_FOR_OTHERS = {"GIT_DIR"}
"""What the program sets for those that it starts, and does not read."""


@pytest.fixture(scope="module")
def packaging():
    sys.path.insert(0, str(ROOT / "packaging"))
    yield importlib.import_module
    sys.path.remove(str(ROOT / "packaging"))


def test_the_reference_is_of_today_and_a_page_that_is_not_is_named_with_the_cure(
    packaging, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("CALICO_RKT_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("CALICO_RKT_LIB_DIR", str(tmp_path))
    write = packaging("write_reference")
    assert write.main(["--check"]) == 0, capsys.readouterr().err
    copy = tmp_path / "reference"
    copy.mkdir()
    for page in write.FOLDER.iterdir():
        (copy / page.name).write_text(page.read_text())
    (copy / "codes.md").write_text("edited by hand\n")
    (copy / "gone.md").write_text("a page that nobody makes any more\n")
    (copy / "confs.md").unlink()
    monkeypatch.setattr(write, "FOLDER", copy)
    assert write.main(["--check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"docs/reference/{name}.md is not what the code says: make reference" for name in ("codes", "confs", "gone")
    ]
    assert write.main([]) == 0
    assert write.main(["--check"]) == 0
    assert not (copy / "gone.md").exists()


def test_every_variable_that_the_program_reads_is_in_the_reference(packaging):
    known = packaging("reference.environment").VARIABLES
    read = set()
    for folder in ("compiler", "plugin", "packaging/zip_main.py"):
        for path in (ROOT / folder).rglob("*") if (ROOT / folder).is_dir() else [ROOT / folder]:
            if path.suffix in (".py", ".c", ".h"):
                text = path.read_text(encoding="utf-8")
                read |= {*READ_IN_PYTHON.findall(text), *READ_IN_C.findall(text), *NAMED.findall(text)}
    assert read - SET_FOR_OTHERS == set(known)


def test_every_key_of_a_conf_and_of_an_override_is_explained():
    for found in (conf_schema(), schema()):
        silent = [
            f"{name}.{key}"
            for name, one in found["$defs"].items()
            for key, value in one.get("properties", {}).items()
            if not value.get("description") and one is not found["$defs"].get("list")
        ]
        assert silent == []


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_the_schema_of_confs_takes_every_conf_that_compiles(path):
    errors = list(Draft202012Validator(conf_schema()).iter_errors(json.loads(path.read_text(encoding="utf-8"))))
    assert errors == []


@pytest.mark.parametrize(
    "change",
    [
        {"type": None},
        {"ipam": None},
        {"name": None},
        {"ipam": {}},
        {"mtu": "1400"},
        {"profiles_dir": "here"},
        {"datastore_type": "kubernetes"},
        {"ipMasq": "true"},
        {"ipam": {"type": "host-local", "ranges": [{}]}},
        {"ipam": {"type": "host-local", "routes": [{"gw": "10.1.0.1"}]}},
    ],
    ids=str,
)
def test_a_conf_of_the_wrong_shape_is_refused_by_the_schema(change):
    well = {"name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}
    changed = {key: value for key, value in {**well, **change}.items() if value is not None}
    validator = Draft202012Validator(conf_schema())
    assert validator.is_valid(well)
    assert not validator.is_valid(changed)
