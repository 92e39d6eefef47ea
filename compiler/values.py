"""A class with typed fields in, one of frozen values out: what @dataclass(frozen=True, slots=True) makes, in less time.

Python's own compiles six functions of text for each class, and that was an eighth of a process that prints one profile.
Here `__init__` alone is compiled. The fields, defaults and slots, and what dataclasses.replace(), fields() and asdict()
go by, are Python's own; a field that is no argument by place, and a class that derives from another of values, are
refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter, ge, gt, le, lt
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

_Fields = Sequence[dataclasses.Field[Any]]
_AsTuple = Callable[[object], tuple[object, ...]]


def _frozen(*, frozen: bool, slots: bool, order: bool = False) -> Callable[[type], type]:
    if not (frozen and slots):
        raise TypeError("a class that is not frozen, or has no slots, is for dataclasses.dataclass")

    def made(given: type) -> type:
        own = set(given.__dict__)
        cls: Any = dataclasses.dataclass(given, init=False, repr=False, eq=False, slots=True)
        cls.__dataclass_params__.frozen = True  # who derives from it is asked to be frozen, too
        fields = dataclasses.fields(cls)
        for name, method in (("__init__", _init(cls, fields)), *_methods(cls, fields), *_order(fields, wanted=order)):
            if name not in own:
                method.__name__, method.__qualname__ = name, f"{cls.__qualname__}.{name}"
                setattr(cls, name, method)
        return cls  # type: ignore[no-any-return]

    return made


def _init(cls: type, fields: _Fields) -> Any:  # noqa: ANN401 - a function is compiled
    """`__init__`: each argument is put into its slot, which takes less than object.__setattr__."""
    known: dict[str, Any] = {"_missing": dataclasses.MISSING}
    arguments: list[str] = []
    lines: list[str] = []
    for n, f in enumerate(fields):
        if not f.init or f.kw_only:
            raise TypeError(f"{cls.__name__}.{f.name} is no argument by place: it is for dataclasses.dataclass")
        known[f"_set{n}"] = getattr(cls, f.name).__set__
        argument = value = f.name
        if f.default is not dataclasses.MISSING:
            known[f"_default{n}"] = f.default
            argument = f"{f.name}=_default{n}"
        elif f.default_factory is not dataclasses.MISSING:
            known[f"_default{n}"] = f.default_factory
            argument, value = f"{f.name}=_missing", f"_default{n}() if {f.name} is _missing else {f.name}"
        arguments.append(argument)
        lines.append(f" _set{n}(self, {value})\n")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()\n")
    exec(f"def init({', '.join(('self', *arguments))}):\n{''.join(lines) or ' pass'}", known)  # noqa: S102
    return known["init"]


def _methods(cls: type, fields: _Fields) -> Iterator[tuple[str, Any]]:
    names = tuple(f.name for f in fields)
    shown = tuple(f.name for f in fields if f.repr)
    compared = _as_tuple([f.name for f in fields if f.compare])
    hashed = _as_tuple([f.name for f in fields if (f.compare if f.hash is None else f.hash)])

    def equal(self: object, other: object) -> bool:
        return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

    def words(self: object) -> str:
        return f"{self.__class__.__qualname__}({', '.join([f'{name}={getattr(self, name)!r}' for name in shown])})"

    def put(self: object, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def delete(self: object, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    def state(self: object) -> list[object]:
        return [getattr(self, name) for name in names]

    def restored(self: object, state: Sequence[object]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    yield from (("__eq__", equal), ("__hash__", lambda self: hash(hashed(self))), ("__repr__", words))
    yield from (("__setattr__", put), ("__delattr__", delete), ("__getstate__", state), ("__setstate__", restored))


def _order(fields: _Fields, *, wanted: bool) -> Iterator[tuple[str, Any]]:
    compared = _as_tuple([f.name for f in fields if f.compare])

    def by(compare: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
        return lambda self, other: (
            compare(compared(self), compared(other)) if other.__class__ is self.__class__ else NotImplemented
        )

    yield from ((f"__{compare.__name__}__", by(compare)) for compare in (lt, le, gt, ge) if wanted)


def _as_tuple(names: Sequence[str]) -> _AsTuple:
    """What gives these fields of a value."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple([getattr(value, name) for name in names])


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _frozen
