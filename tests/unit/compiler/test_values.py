"""Frozen values do what those of Python's own @dataclass(frozen=True, slots=True) do, but for how they came to be."""

import copy
import dataclasses
import inspect
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler import values


def classes():
    """Each anew: to make values of a class changes it."""

    class Plain:
        """Two fields that count, one that is not compared, one that is not shown."""

        a: int
        b: str = "b"
        place: object = dataclasses.field(default=None, compare=False)
        hidden: tuple = dataclasses.field(default=(), repr=False)

    class Made:
        a: list = dataclasses.field(default_factory=list, hash=False)

        def __post_init__(self):
            if self.a == [0]:
                raise ValueError("not that one")

    class One:
        a: object = 1

    class Nothing:
        pass

    class Own:
        a: int = 0

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 7

        def __repr__(self):
            return "mine"

    return Plain, Made, One, Nothing, Own


ours = {cls.__name__: values.dataclass(frozen=True, slots=True)(cls) for cls in classes()}
pythons = {cls.__name__: dataclasses.dataclass(frozen=True, slots=True)(cls) for cls in classes()}
small = st.one_of(st.integers(0, 1), st.sampled_from(["b", "c"]), st.lists(st.integers(0, 1), max_size=1))


def done(act):
    """What comes of it, or of which kind the exception is and what it says."""
    try:
        return act()
    except Exception as e:  # noqa: BLE001 - whatever Python's own says
        return type(e), str(e)


@pytest.mark.parametrize("cls", ours)
@given(one=st.lists(small, max_size=5), other=st.lists(small, max_size=3))
def test_they_are_made_compared_shown_and_refuse_as_pythons_own(cls, one, other):
    told = []
    for made in (ours[cls], pythons[cls]):
        first, second = done(lambda made=made: made(*one)), done(lambda made=made: made(*other))
        if not (isinstance(first, made) and isinstance(second, made)):
            told.append((repr(first), repr(second)))
            continue
        told.append(
            (
                repr(first),
                first == second,
                first != second,
                first == copy.copy(first),
                first.__eq__(object()),
                done(lambda first=first: hash(first)),
                dataclasses.asdict(first),
                repr(copy.deepcopy(first)),
                [done(lambda first=first, f=f: setattr(first, f.name, 1)) for f in dataclasses.fields(first)],
                [done(lambda first=first, f=f: delattr(first, f.name)) for f in dataclasses.fields(first)],
                done(lambda first=first: repr(dataclasses.replace(first, a=2))),
                done(lambda first=first: repr(dataclasses.replace(first, z=2))),
            )
        )
    assert told[0] == told[1] or repr(told[0]) == repr(told[1])


@pytest.mark.parametrize("cls", ours)
def test_what_others_ask_of_a_class_is_the_same(cls):
    mine, pythons_own = ours[cls], pythons[cls]
    assert mine.__slots__ == pythons_own.__slots__
    assert mine.__match_args__ == pythons_own.__match_args__
    assert list(inspect.signature(mine).parameters) == list(inspect.signature(pythons_own).parameters)
    assert [(f.name, f.type, f.compare, f.repr) for f in dataclasses.fields(mine)] == [
        (f.name, f.type, f.compare, f.repr) for f in dataclasses.fields(pythons_own)
    ]
    assert (mine.__name__, mine.__module__, mine.__init__.__qualname__) == (
        pythons_own.__name__,
        pythons_own.__module__,
        pythons_own.__init__.__qualname__,
    )


@pytest.mark.parametrize("cls", ours)
def test_what_is_no_field_is_refused_too(cls):
    one = ours[cls](*[1] * (cls == "Plain"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.z = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.z


def test_order_is_that_of_the_fields():
    class Pair:
        a: int
        b: int = 0

    made = values.dataclass(frozen=True, slots=True, order=True)(Pair)
    assert sorted([made(2), made(1, 5), made(1)]) == [made(1), made(1, 5), made(2)]
    assert made(1) <= made(1) < made(2) >= made(2) > made(1)
    with pytest.raises(TypeError):
        made(1) < 1  # noqa: B015


def test_pythons_own_may_derive_from_one_as_long_as_it_is_frozen():
    class More(ours["Plain"]):
        c: int = 3

    more = dataclasses.dataclass(frozen=True, slots=True)(More)
    assert repr(more(1)).endswith("More(a=1, b='b', place=None, c=3)")
    assert more(1) != ours["Plain"](1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        more(1).a = 2
    with pytest.raises(TypeError, match="frozen"):
        dataclasses.dataclass(type("Loose", (ours["Plain"],), {}))


@pytest.mark.parametrize(
    "field",
    [dataclasses.field(init=False, default=1), dataclasses.field(kw_only=True)],
    ids=["no argument", "by keyword"],
)
def test_what_is_not_known_is_refused(field):
    cls = type("Odd", (), {"__annotations__": {"a": "int"}, "a": field})
    with pytest.raises(TypeError, match=r"Odd\.a is no argument by place"):
        values.dataclass(frozen=True, slots=True)(cls)
    with pytest.raises(TypeError):
        values.dataclass(frozen=False, slots=True)


def test_a_field_and_a_change_may_be_said_without_pythons_own():
    class Said:
        a: int
        b: tuple = values.field(default=(), compare=False, repr=False)
        c: dict = values.field(default_factory=dict, hash=False)

    made = values.dataclass(frozen=True, slots=True)(Said)
    assert [(f.name, f.compare, f.repr, f.hash) for f in dataclasses.fields(made)] == [
        ("a", True, True, None),
        ("b", False, False, None),
        ("c", True, True, False),
    ]
    first = made(1)
    changed = values.replace(first, b=(2,))
    assert (changed, changed.b, changed.c is first.c) == (first, (2,), True)
    assert dataclasses.replace(first, a=3) == values.replace(first, a=3) == made(3)
    with pytest.raises(TypeError):
        values.replace(first, z=1)


def test_what_pythons_own_refuses_is_refused():
    for told, kinds, defaults in (
        ("non-default argument 'b' follows", {"a": "int", "b": "int"}, {"a": 1}),
        ("mutable default .* for field a", {"a": "list"}, {"a": []}),
        ("no argument by place", {"a": "ClassVar[int]"}, {"a": 1}),
    ):
        cls = type("Odd", (), {"__annotations__": kinds, **defaults})
        with pytest.raises((TypeError, ValueError), match=told):
            values.dataclass(frozen=True, slots=True)(cls)
    with pytest.raises(TypeError, match="derives from"):
        values.dataclass(frozen=True, slots=True)(type("More", (ours["Plain"],), {}))


def test_pythons_own_is_not_imported_for_a_class_and_its_values():
    program = (
        "import sys\n"
        "from calico_rkt.compiler import values\n"
        "from calico_rkt.plugin.model import Key\n"
        "assert Key('a', 'b', 'c') == values.replace(Key('x', 'b', 'c'), network='a')\n"
        "assert not {'dataclasses', 'inspect'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_they_come_back_from_a_pickle():
    program = (
        "import pickle\n"
        "from calico_rkt.compiler.diagnostics import Span\n"
        "from calico_rkt.compiler.ir.model import Action, Match, Rule\n"
        "rule = Rule(Action.ALLOW, Match(ip_version=4), Span('a', 1, 2, 3, 'x'))\n"
        "again = pickle.loads(pickle.dumps(rule))\n"
        "assert again == rule and again is not rule and again.span.text == 'x'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
