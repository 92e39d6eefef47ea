"""What stands in and beside the folder of the overrides in; what of it looks like policy and is read by nobody, out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from calico_rkt.compiler.diagnostics import Diagnostic, warning
from calico_rkt.compiler.workspace.files import SUFFIXES

_NEARLY = (".yaml.", ".yml.", ".yaml~", ".yml~", ".json")
_KEY = rb"^(?:\{[ \t]*)?['\"]?(?:network|definitions|settings|guardrails)['\"]?[ \t]*:"
# As text: compiled where there is a file to look at, which most folders have none of.
_LOOKS_SO = rb"(?m)" + _KEY + rb"|^kind:[ \t]*['\"]?Profile\b"
_BEGINS_SO = (
    rb"(?:\s|#[^\n]*\n|---[^\n]*\n)*" + rb"(?:" + _KEY.replace(rb"^", b"", 1) + rb"|kind:[ \t]*['\"]?Profile\b)"
)


def misnamed(paths: Iterable[str]) -> tuple[Diagnostic, ...]:
    """A warning for each file that looks like an override and is none by its name, such as web.yaml.txt, web.YAML.

    What editors keep while a file is open (.web.yaml.swp, .#web.yaml, #web.yaml#) is nobody's override.
    """
    out = []
    for path in paths:
        name = path.rpartition("/")[2]
        hidden = name.startswith(".")
        if hidden and name.endswith(SUFFIXES) and not name.startswith(".#"):
            out.append(warning("CR707", "not read: a hidden file", path=path, hint="take the dot away"))
        elif not hidden and not name.endswith(SUFFIXES) and not name.startswith("#") and _nearly(name.lower()):
            out.append(warning("CR707", "not read: the name does not end in .yaml or .yml", path=path))
    return tuple(out)


def unnamed(files: Mapping[str, bytes]) -> tuple[Diagnostic, ...]:
    """A warning for each file that begins as an override does, and has a name of another kind, such as web.ymal."""
    return tuple(
        warning("CR707", "not read: the name does not end in .yaml or .yml", path=path)
        for path, data in files.items()
        if not _nearly(path.rpartition("/")[2].lower()) and re.match(_BEGINS_SO, data)
    )


def too_deep(files: Mapping[str, bytes], read: Iterable[bytes]) -> tuple[Diagnostic, ...]:
    """A warning for each file in a subfolder of the overrides that says what an override says.

    read are the files that count: what is said there, too, is not lost, as where web.yaml is a link to now/web.yaml.
    """
    hint = "move it up, beside the other overrides"
    return tuple(
        warning("CR707", "not read: files of subfolders are no overrides", path=path, hint=hint)
        for path, data in _lost(files, read)
    )


def unread_beside(files: Mapping[str, bytes], read: Iterable[bytes]) -> tuple[Diagnostic, ...]:
    """A warning for each YAML file that says what an override says, and stands beside the confs; read as above."""
    return tuple(
        warning("CR707", "not read: it stands beside the confs", path=path, hint="overrides stand in profiles/")
        for path, data in _lost(files, read)
    )


def _lost(files: Mapping[str, bytes], read: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    known = set(read)
    return ((path, data) for path, data in files.items() if data not in known and re.search(_LOOKS_SO, data))


def _nearly(name: str) -> bool:
    return name.endswith(SUFFIXES) or any(n in name for n in _NEARLY)
