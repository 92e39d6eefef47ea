"""Jinja2 templates, one folder a target: loops and printing only, no decisions."""

from __future__ import annotations

from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def data(name: str) -> bytes:
    """A file under this folder, out of a zip application, too; importlib.resources takes 4 ms to be imported."""
    loader: Any = globals()["__loader__"]
    found: bytes = loader.get_data(str(Path(__file__).parent / name))
    return found
