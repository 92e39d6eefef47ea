"""Where confs and overrides were read: in one line for people, and as values for programs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sources:
    """kind is "folder", "revision" or "host"; confs and profiles are the folders that were read, as people call them.

    absent are folders of overrides that are not there, and need not be.
    """

    kind: str
    confs: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The first line of an answer."""
        confs = ", ".join(self.confs) or "none"
        absent = "".join(f"; {folder} is not there" for folder in self.absent)
        of = "this host's confs" if self.kind == "host" else "confs"
        return f"{of}: {confs}; overrides: {', '.join(self.profiles) or 'none'}{absent}"

    def values(self) -> dict[str, object]:
        return {"kind": self.kind, "confs": list(self.confs), "profiles": list(self.profiles)}
