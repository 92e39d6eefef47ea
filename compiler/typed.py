"""The names of typing that annotations and classes say, for modules that every CNI call imports: typing takes 3 ms.

Who checks types sees typing's own. What asks them something when it runs (isinstance, get_type_hints) imports typing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Generic, NoReturn, Protocol, Self, TypedDict, TypeVar
else:

    class Generic:
        """A base that takes its parameters, and does nothing with them."""

        def __class_getitem__(cls, _: object) -> type:
            return cls

    Any = BinaryIO = NoReturn = Protocol = Self = object
    TypedDict = dict

    def TypeVar(name: str) -> str:  # noqa: N802 - as typing has it
        return name


__all__ = ["Any", "BinaryIO", "Generic", "NoReturn", "Protocol", "Self", "TypeVar", "TypedDict"]
