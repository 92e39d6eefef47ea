"""A path in, the launcher alone, compiled to it as packaging/build.py does, out."""

import importlib.util
from pathlib import Path

_BUILD = Path(__file__).parents[1] / "packaging" / "build.py"


def compiled(to: Path, **flags: str) -> Path:
    """flags: others than the built file's."""
    spec = importlib.util.spec_from_file_location("packaging_build", _BUILD)
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    build.compile_launcher(to, "", **flags)
    return to
