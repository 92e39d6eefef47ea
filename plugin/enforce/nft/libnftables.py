"""An nftables script in, one kernel transaction (or what the kernel holds, as text or JSON values) out.

libnftables is called through ctypes, by a child of this process: it ends whoever calls it where the kernel does not
answer it (process/child.py).
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from calico_rkt.compiler.typed import Any
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import netlink
from calico_rkt.plugin.process.child import ChildEndedError, done_by_child

_STATELESS, _HANDLES, _JSON, _TERSE = 1 << 2, 1 << 3, 1 << 4, 1 << 11  # NFT_CTX_OUTPUT_* of nftables/libnftables.h
_NUMBERS = 1 << 7 | 1 << 8 | 1 << 9  # ... NUMERIC_PROTO, _PRIO, _SYMBOL


class NftError(CniError):
    """The kernel or libnftables refused a script; nothing of it is in force. details is nft's own text.

    With code 11 the library ended in the middle, and what it was about to do may be in force.
    """

    @property
    def missing(self) -> bool:
        """True when a table, chain, set or element that the script names is not there (ENOENT)."""
        return "No such file or directory" in self.details

    @property
    def busy(self) -> bool:
        """True when an object is in use, or a map's key is there with another value (EBUSY, EEXIST)."""
        return "Device or resource busy" in self.details or "File exists" in self.details


def _load() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL("libnftables.so.1")
    except OSError as reason:
        raise CniError(
            Code.POLICY,
            "libnftables.so.1 is not on this host: install Debian's package libnftables1 (nftables elsewhere)",
            str(reason),
        ) from reason
    lib.nft_ctx_new.argtypes, lib.nft_ctx_new.restype = [ctypes.c_uint32], ctypes.c_void_p
    lib.nft_ctx_free.argtypes, lib.nft_ctx_free.restype = [ctypes.c_void_p], None
    lib.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    lib.nft_ctx_output_set_flags.argtypes, lib.nft_ctx_output_set_flags.restype = [ctypes.c_void_p, ctypes.c_uint], None
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(lib, name).argtypes = [ctypes.c_void_p]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(lib, name).argtypes, getattr(lib, name).restype = [ctypes.c_void_p], ctypes.c_char_p
    return lib


class _Context:
    """libnftables' handle in one network namespace; its socket stays where it was opened."""

    def __init__(self, lib: ctypes.CDLL) -> None:
        self._lib = lib
        self._handle = self._lib.nft_ctx_new(0)
        if not self._handle:
            raise CniError(Code.POLICY, "libnftables gives no context: no nftables in this kernel, or no memory")
        self._lib.nft_ctx_buffer_output(self._handle)
        self._lib.nft_ctx_buffer_error(self._handle)

    def close(self) -> None:
        self._lib.nft_ctx_free(self._handle)

    def call(self, script: str, flags: int) -> str:
        self._lib.nft_ctx_output_set_flags(self._handle, flags)
        failed = self._lib.nft_run_cmd_from_buffer(self._handle, script.encode())
        output: str = (self._lib.nft_ctx_get_output_buffer(self._handle) or b"").decode(errors="replace")
        problem: str = (self._lib.nft_ctx_get_error_buffer(self._handle) or b"").decode(errors="replace").strip()
        if failed:
            first = problem.partition("\n")[0] or "libnftables gives no reason"
            raise NftError(Code.POLICY, f"nftables refused a change: {first}", problem)
        return output


def _socket_can_be_had() -> None:
    """The library ends the whole process where it gets no socket: with no answer, and nothing taken back."""
    try:
        netlink.Socket(netlink.NETFILTER).close()
    except OSError as e:
        raise CniError(Code.TRY_AGAIN, f"no netlink socket for nftables: {e.strerror}") from e


def _call(script: str, flags: int = 0) -> str:
    return _in_turn((script, flags))


def _in_turn(*steps: tuple[str, int]) -> str:
    """Have scripts run one after the other, each with its flags, in this thread's namespace; what the last one printed.

    By a child of this process: where a question of the library's own to the kernel fails, it aborts or exits.
    docs/decisions/095-libnftables-works-in-a-child.md
    """
    lib = _load()

    def work() -> bytes:
        try:
            context = _Context(lib)
            for script, flags in steps:
                output = context.call(script, flags)
        except CniError as e:
            return json.dumps({"code": e.code, "msg": e.msg, "details": e.details}).encode()
        return json.dumps({"output": output}).encode()

    try:
        said = json.loads(done_by_child(work))
    except ChildEndedError as e:
        raise NftError(Code.TRY_AGAIN, "libnftables ended before it said what became of a change", str(e)) from e
    if "msg" in said:
        raise NftError(said["code"], said["msg"], said["details"])
    return str(said["output"])


def run_nft(script: str) -> None:
    """Apply a script as one transaction: all of it or nothing. Raises NftError with nft's text."""
    if script:
        _call(script)


def run_here(script: str, query: str) -> str:
    """Apply a script and list something without the elements of sets, by one handle. Raises NftError."""
    return _in_turn((script, 0), (query, _TERSE))


def listed(query: str, *, handles: bool = False) -> str:
    """A listing as nft prints it, without the elements of sets; handles: each rule with `# handle N` behind it."""
    return _call(query, _TERSE | _HANDLES if handles else _TERSE)


class Held:
    """A handle in this very process and thread's namespace: a table with the flag owner that it makes lives as long."""

    def __init__(self) -> None:
        lib = _load()
        _socket_can_be_had()
        self._context = _Context(lib)

    def run(self, script: str) -> None:
        """Apply a script as one transaction. Raises NftError."""
        self._context.call(script, 0)

    def listed(self, query: str) -> str:
        """A listing as nft prints it, also of what belongs to this handle."""
        return self._context.call(query, 0)

    def close(self) -> None:
        self._context.close()


def listed_whole(query: str) -> str:
    """A listing as nft takes it again, with elements, without what was counted."""
    return _call(query, _STATELESS)


def list_json(query: str, *, elements: bool = True) -> tuple[dict[str, Any], ...]:
    """The objects of a listing as nft's JSON has them, without its metainfo.

    Not of a table with the flag owner: nft 1.0.6 reads beyond the words that it has for flags.
    """
    return _objects(query, _JSON if elements else _JSON | _TERSE)


def list_numbers(query: str) -> tuple[dict[str, Any], ...]:
    """The same with numbers for the names of protocols, ICMP types, states and priorities."""
    return _objects(query, _JSON | _NUMBERS)


def _objects(query: str, flags: int) -> tuple[dict[str, Any], ...]:
    text = _call(query, flags) or '{"nftables": []}'
    try:
        found = json.loads(text)
    except ValueError as reason:
        raise NftError(Code.POLICY, f"nftables gives no whole answer to `{query}`", str(reason)) from reason
    with known_shape(query):
        return tuple(o for o in found["nftables"] if "metainfo" not in o and _is_object(o))


@contextmanager
def known_shape(query: str) -> Iterator[None]:
    """Around what takes a listing apart: one of another shape is an NftError, as one that is cut short."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as reason:
        words = f"nftables answers `{query}` in a shape that is not known here"
        raise NftError(Code.POLICY, words, f"{type(reason).__name__}: {reason}") from reason


_TEXTS = ("family", "table", "name", "chain", "hook", "type", "policy", "comment")


def _is_object(listed: Mapping[str, Any]) -> bool:
    """True; ValueError where it is not one thing of the kernel's, said as all of them are."""
    ((kind, body),) = listed.items()
    values = {"set": ("type",), "map": ("type",), "ct timeout": ("policy",)}.get(kind, ())
    texts = [body[k] for k in _TEXTS if k in body and k not in values]
    parts = body.get("expr", []) if kind == "rule" else body.get("elem", [])
    needed = ("family", *(("table",) if kind != "table" else ()), "chain" if kind == "rule" else "name")
    named = all(k in body for k in needed)
    if not named or not all(isinstance(t, str) for t in texts) or not isinstance(parts, list):
        raise ValueError(kind)
    if kind == "rule" and not all(isinstance(s, dict) and len(s) == 1 for s in parts):
        raise ValueError(kind)
    return True
