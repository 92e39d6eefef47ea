"""A class with typed fields in, one of frozen values out: what @dataclass(frozen=True, slots=True) makes, in less time.

Python's own compiles six functions of text for each class, and to import it takes 6 ms: together a third of what a
process needs before it does anything. Here `__init__` alone is compiled, when the first value is made. What
dataclasses.replace(), fields(), asdict() and is_dataclass() go by is Python's own, made when somebody asks for it. A
field that is no argument by place, and a class that derives from another of values, are refused.
"""

from __future__ import annotations

import sys
from functools import cache
from operator import attrgetter, ge, gt, le, lt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    _AsTuple = Callable[[object], tuple[object, ...]]

__all__ = ["dataclass", "field", "replace"]

_MISSING = object()
_OF_A_CLASS = ("__dict__", "__weakref__")


class _Field:
    """What is said of a field, by its class, beside its name."""

    __slots__ = ("compare", "default", "default_factory", "hash", "repr")

    def __init__(
        self,
        *,
        default: object = _MISSING,
        default_factory: object = _MISSING,
        repr: bool = True,  # noqa: A002 - as dataclasses.field() has them
        hash: bool | None = None,  # noqa: A002
        compare: bool = True,
    ) -> None:
        self.default, self.default_factory = default, default_factory
        self.repr, self.hash, self.compare = repr, hash, compare

    def pythons_own(self) -> dict[str, Any]:
        """The arguments of dataclasses.field() for it."""
        said = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in said.items() if value is not _MISSING}


_Fields = dict[str, _Field]


def _frozen(*, frozen: bool, slots: bool, order: bool = False) -> Callable[[type], type]:
    if not (frozen and slots):
        raise TypeError("a class that is not frozen, or has no slots, is for dataclasses.dataclass")

    def made(given: type) -> type:
        own = given.__dict__
        fields = _fields_of(given)
        space = {name: value for name, value in own.items() if name not in fields and name not in _OF_A_CLASS}
        space["__slots__"] = space["__match_args__"] = tuple(fields)
        cls: Any = type(given)(given.__name__, given.__bases__, space)
        cls.__qualname__ = given.__qualname__
        methods = (("__init__", _first(cls, fields)), *_methods(cls, fields), *_order(fields, wanted=order))
        for name, method in methods:
            if name not in own:
                _put(cls, name, method)
        _answer(cls, given.__annotations__, fields)
        return cls  # type: ignore[no-any-return]

    return made


def _put(cls: type, name: str, method: Any) -> None:  # noqa: ANN401 - any function
    method.__name__, method.__qualname__ = name, f"{cls.__qualname__}.{name}"
    setattr(cls, name, method)


def _fields_of(given: type) -> _Fields:
    """The fields of a class, in their order."""
    if any(hasattr(base, "__dataclass_fields__") for base in given.__bases__):
        raise TypeError(f"{given.__name__} derives from a class of values: it is for dataclasses.dataclass")
    found: _Fields = {}
    optional = ""
    for name, kind in given.__annotations__.items():
        if "ClassVar" in str(kind) or "InitVar" in str(kind) or "KW_ONLY" in str(kind):
            raise TypeError(f"{given.__name__}.{name} is no argument by place: it is for dataclasses.dataclass")
        found[name] = said = _said(given, name)
        if said.default is not _MISSING or said.default_factory is not _MISSING:
            optional = name
        elif optional:
            raise TypeError(f"non-default argument {name!r} follows default argument {optional!r}")
        if said.default.__class__.__hash__ is None:
            raise ValueError(f"mutable default {type(said.default)} for field {name} is not allowed")
    return found


def _said(given: type, name: str) -> _Field:
    default = given.__dict__.get(name, _MISSING)
    if isinstance(default, _Field):
        return default
    pythons = sys.modules.get("dataclasses")
    if pythons is None or not isinstance(default, pythons.Field):
        return _Field(default=default)
    if not default.init or default.kw_only is True:
        raise TypeError(f"{given.__name__}.{name} is no argument by place: it is for dataclasses.dataclass")
    said = {slot: getattr(default, slot) for slot in _Field.__slots__}
    return _Field(**{slot: value for slot, value in said.items() if value is not pythons.MISSING})


def _first(cls: type, fields: _Fields) -> Any:  # noqa: ANN401 - a function
    """`__init__` up to the first value, for which it makes the one of all others."""

    def first(self: object, *arguments: object, **named: object) -> None:
        made = _init(cls, fields)
        if cls.__dict__["__init__"] is first:
            _put(cls, "__init__", made)
        made(self, *arguments, **named)

    return first


def _init(cls: type, fields: _Fields) -> Any:  # noqa: ANN401 - a function is compiled
    """`__init__`: each argument is put into its slot, which takes less than object.__setattr__."""
    known: dict[str, Any] = {"_missing": _MISSING}
    arguments: list[str] = []
    lines: list[str] = []
    for n, (name, said) in enumerate(fields.items()):
        known[f"_set{n}"] = getattr(cls, name).__set__
        argument = value = name
        if said.default is not _MISSING:
            known[f"_default{n}"] = said.default
            argument = f"{name}=_default{n}"
        elif said.default_factory is not _MISSING:
            known[f"_default{n}"] = said.default_factory
            argument, value = f"{name}=_missing", f"_default{n}() if {name} is _missing else {name}"
        arguments.append(argument)
        lines.append(f" _set{n}(self, {value})\n")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()\n")
    exec(f"def __init__({', '.join(('self', *arguments))}):\n{''.join(lines) or ' pass'}", known)  # noqa: S102
    return known["__init__"]


def _methods(cls: type, fields: _Fields) -> Iterator[tuple[str, Any]]:
    names = tuple(fields)
    shown = tuple(name for name, f in fields.items() if f.repr)
    compared = _as_tuple(tuple([name for name, f in fields.items() if f.compare]))
    hashed = _as_tuple(tuple([name for name, f in fields.items() if (f.compare if f.hash is None else f.hash)]))

    def equal(self: object, other: object) -> bool:
        return compared(self) == compared(other) if other.__class__ is self.__class__ else NotImplemented

    def words(self: object) -> str:
        return f"{self.__class__.__qualname__}({', '.join([f'{name}={getattr(self, name)!r}' for name in shown])})"

    def put(self: object, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise _frozen_error(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def delete(self: object, name: str) -> None:
        if type(self) is cls or name in names:
            raise _frozen_error(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    def state(self: object) -> list[object]:
        return [getattr(self, name) for name in names]

    def restored(self: object, state: Sequence[object]) -> None:
        for name, value in zip(names, state, strict=True):
            object.__setattr__(self, name, value)

    yield from (("__eq__", equal), ("__hash__", lambda self: hash(hashed(self))), ("__repr__", words))
    yield from (("__setattr__", put), ("__delattr__", delete), ("__getstate__", state), ("__setstate__", restored))
    yield "__replace__", lambda self, /, **changes: _replaced(self, **changes)


def _frozen_error(text: str) -> AttributeError:
    from dataclasses import FrozenInstanceError  # here, not above: a mistake of ours

    return FrozenInstanceError(text)


def _order(fields: _Fields, *, wanted: bool) -> Iterator[tuple[str, Any]]:
    compared = _as_tuple(tuple([name for name, f in fields.items() if f.compare]))

    def by(compare: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
        return lambda self, other: (
            compare(compared(self), compared(other)) if other.__class__ is self.__class__ else NotImplemented
        )

    yield from ((f"__{compare.__name__}__", by(compare)) for compare in (lt, le, gt, ge) if wanted)


@cache
def _as_tuple(names: tuple[str, ...]) -> _AsTuple:
    """What gives these fields of a value."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple([getattr(value, name) for name in names])


class _Asked:
    """An attribute of a class that is made when somebody asks for it."""

    def __init__(self, cls: type, name: str, make: Callable[[], object]) -> None:
        self._cls, self._name, self._make = cls, name, make

    def __get__(self, value: object, owner: type) -> object:
        made = self._make()
        if self._cls.__dict__[self._name] is self:
            setattr(self._cls, self._name, made)
        return made


def _answer(cls: type, kinds: Mapping[str, Any], fields: _Fields) -> None:
    """Have the class say what dataclasses and inspect ask of it."""

    def signature() -> object:
        from inspect import signature

        found = signature(_init(cls, fields))
        return found.replace(parameters=[*found.parameters.values()][1:])

    for name, make in (
        ("__dataclass_fields__", lambda: _twin(kinds, fields).__dataclass_fields__),
        ("__dataclass_params__", lambda: _twin(kinds, fields).__dataclass_params__),
        ("__signature__", signature),
    ):
        setattr(cls, name, _Asked(cls, name, make))


def _twin(kinds: Mapping[str, Any], fields: _Fields) -> Any:  # noqa: ANN401 - a class with attributes of its own
    """A class by Python's own, of the same fields."""
    from dataclasses import dataclass as pythons_own
    from dataclasses import field as of_pythons_own

    twin: Any = type("twin", (), {name: of_pythons_own(**f.pythons_own()) for name, f in fields.items()})
    twin.__annotations__ = dict(kinds)
    twin = pythons_own(twin, init=False, repr=False, eq=False)
    twin.__dataclass_params__.frozen = True  # who derives from it is asked to be frozen, too
    return twin


def _replaced(value: Any, /, **changes: object) -> Any:  # noqa: ANN401 - of its own kind
    """The same value but for these fields."""
    names = value.__match_args__
    return value.__class__(**dict(zip(names, _as_tuple(names)(value), strict=True)) | changes)


if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
else:
    dataclass, field, replace = _frozen, _Field, _replaced
