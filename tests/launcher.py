"""What packaging/build.py makes the launcher of: the launcher alone, and what it has Python run for a CNI call."""

import importlib.util
from pathlib import Path
from types import ModuleType

_BUILD = Path(__file__).parents[1] / "packaging" / "build.py"


def compiled(to: Path, **flags: str) -> Path:
    """The launcher, compiled to a path; flags: others than the built file's."""
    _build().compile_launcher(to, "", **flags)
    return to


def start() -> str:
    """What Python is given behind -c."""
    text: str = _build().start()
    return text


def _build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("packaging_build", _BUILD)
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    return build
