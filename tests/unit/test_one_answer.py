"""One room opens confs and overrides; everybody else asks it."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOM = "compiler/workspace/"
OPENERS = {
    # What a runtime hands over, and what a chain, which was opened already, says of its addresses.
    "parse_conf": {"plugin/cni/request.py", "plugin/runtime/families.py"},
    "shape_of": {"plugin/doctor/confs.py"},  # which file a runtime takes first, in folders that are not the host's
    "read_profiles": set(),
    "entries_of": set(),
    "read_all": set(),
    # A baseline that somebody names, a conf that git shows as text where it does not compile, one that is copied.
    # doctor reads what runtimes read, in their folders.
    "read_file": {
        "compiler/cli/accepted.py",
        "compiler/cli/compile.py",
        "plugin/publish/kept_confs.py",
        "plugin/doctor/confs.py",
    },
    "conf_files": {"plugin/doctor/runtimes/podman.py"},  # what is kept for podman
    "read_confs": set(),
    "read_chain": {"plugin/doctor/confs.py"},
}


def importers(name):
    for path in sorted(p for room in ("compiler", "plugin") for p in (ROOT / room).rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text()))
        if any(isinstance(n, ast.ImportFrom) and name in [a.name for a in n.names] for n in nodes):
            yield str(path.relative_to(ROOT))


def test_nobody_else_opens_a_conf_or_an_override():
    for name, others in OPENERS.items():
        found = {p for p in importers(name) if not p.startswith(ROOM)}
        assert found == others, name


def test_the_room_is_asked_by_what_publishes_and_by_what_reviews():
    assert {"compiler/cli/places.py", "plugin/publish/host_confs.py"} <= {
        *importers("open_folder"),
        *importers("open_host"),
    }
    assert {"plugin/enforce/compiled.py", "plugin/publish/effect.py"} == {
        p for p in importers("overrides_of") if not p.startswith(ROOM)
    }
