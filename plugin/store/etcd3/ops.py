"""Keys and values in, the operations and comparisons of a transaction out, as etcd's v3 JSON gateway takes them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Op = Mapping[str, Any]
Compare = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kv:
    """One key as etcd has it; revision is its mod_revision."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a transaction gave: whether its comparisons held, the keys each get found, and the revision of it all."""

    succeeded: bool
    found: tuple[tuple[Kv, ...], ...]
    revision: int


def get(key: str, *, keys_only: bool = False) -> Op:
    """Read one key."""
    return {"request_range": {"key": _encode(key), "keys_only": keys_only}}


def get_prefix(prefix: str, *, keys_only: bool = False) -> Op:
    """Read every key that begins so, in their order."""
    ends = {"key": _encode(prefix), "range_end": _encode(_behind(prefix))}
    return {"request_range": {**ends, "keys_only": keys_only, "sort_target": "KEY", "sort_order": "ASCEND"}}


def put(key: str, value: bytes) -> Op:
    return {"request_put": {"key": _encode(key), "value": b64encode(value).decode()}}


def delete(key: str) -> Op:
    return {"request_delete_range": {"key": _encode(key)}}


def absent(key: str) -> Compare:
    return {"key": _encode(key), "target": "VERSION", "result": "EQUAL", "version": "0"}


def exists(key: str) -> Compare:
    return {"key": _encode(key), "target": "VERSION", "result": "GREATER", "version": "0"}


def unchanged(key: str, revision: int) -> Compare:
    """Whether the key still has this mod_revision; 0 is a key that is not there."""
    return {"key": _encode(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}


def same(kv: Kv) -> Compare:
    """Whether the key still has this value."""
    return {"key": _encode(kv.key), "target": "VALUE", "result": "EQUAL", "value": b64encode(kv.value).decode()}


def untouched_since(prefix: str, revision: int) -> Compare:
    """Whether no key that begins so was written after this revision."""
    ends = {"key": _encode(prefix), "range_end": _encode(_behind(prefix))}
    return {**ends, "target": "MOD", "result": "LESS", "mod_revision": str(revision + 1)}


def answer_of(
    said: Mapping[str, Any], compares: Sequence[Compare], then: Sequence[Op], otherwise: Sequence[Op]
) -> Answer:
    """What the gateway says of a transaction; ValueError where that is no answer to it.

    An answer of another shape is told apart here, once: who asked has to know that its write may have happened.
    """
    try:
        succeeded = said.get("succeeded", False)
        ranges = [r["response_range"] for r in said.get("responses", ()) if "response_range" in r]
        found = tuple(tuple(_kv_of(kv) for kv in r.get("kvs", ())) for r in ranges)
        revision = int(said.get("header", {}).get("revision", 0))
    except (AttributeError, KeyError, TypeError, OverflowError) as e:
        raise ValueError(f"{type(e).__name__}: {e}") from e
    if not isinstance(succeeded, bool):
        raise ValueError(f"succeeded is {succeeded!r}")  # noqa: TRY004 - as all that is wrong with it
    if not succeeded and not compares:
        raise ValueError("nothing was compared, and that did not hold")
    gets = sum("request_range" in op for op in (then if succeeded else otherwise))
    if len(found) != gets:
        raise ValueError(f"{gets} gets, {len(found)} answers")
    return Answer(succeeded, found, revision)


def _kv_of(given: Mapping[str, Any]) -> Kv:
    """One key as the gateway tells of it."""
    return Kv(b64decode(given["key"]).decode(), b64decode(given.get("value", "")), int(given["mod_revision"]))


@lru_cache(maxsize=256)
def _encode(key: str) -> str:
    return b64encode(key.encode()).decode()


def _behind(prefix: str) -> str:
    """The first key behind all that begin with prefix, whose last character is ASCII."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
