"""A log's path in, what of the state file of older builds stands beside it out; sqlite is not asked."""

from __future__ import annotations

from pathlib import Path

NAME = "state.sqlite"
APPLICATION_ID = 0x63726B74
VERSION, HANDED_ON = 1, 2
"""Of a file that says who has which address, and of one that only says that a log does."""
KEPT = "it is left as it is, since it says which addresses are in use; move it away when no container is attached"
"""What to do where a file of ours can't be used."""
_HEADER, _AT_VERSION = 100, 60


def is_there(path: Path) -> bool:
    """Whether records are there that no log has yet. One that is damaged may have some."""
    older = path.with_name(NAME)
    try:
        with older.open("rb") as file:
            version = file.read(_HEADER)[_AT_VERSION : _AT_VERSION + 4]
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return version != HANDED_ON.to_bytes(4, "big") or any(path.parent.glob(f".{path.name}.*"))
