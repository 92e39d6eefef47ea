"""A host's state log in, its entries out, and back: read and written here without the program's own code."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

Entries = dict[tuple[str, str], str]
"""A table's letter and a key in JSON: the value."""
_HEAD = len("calico-rkt-state 1 ") + 36 + len(" 01234567\n")


def boot_of(data: bytes) -> str:
    """The boot that a log says it is of."""
    return data[:_HEAD].decode().split()[2]


def entries(data: bytes) -> Entries:
    """What the whole records of a log come to; AssertionError where one is damaged."""
    found: Entries = {}
    at, check = _HEAD, crc32(data[:_HEAD])
    while len(data) - at >= 12:
        length, of_body, of_front = struct.unpack_from("<III", data, at)
        assert crc32(data[at : at + 8], check) == of_front, f"damaged at {at}"
        body = data[at + 12 : at + 12 + length]
        if len(body) < length:
            break
        assert crc32(body, check) == of_body, f"damaged at {at}"
        at, check = at + 12 + length, of_body
        lines = body.decode("ascii").split("\n")
        assert not lines.pop()
        if lines[0][0] == "=":
            table = lines.pop(0)[1]
            lines = [f"+{table}{line}" for line in lines]
        for line in lines:
            key, _, value = line[2:].partition("\t")
            if line[0] == "+":
                found[line[1], key] = value
            else:
                del found[line[1], key]
    return found


def written(boot: str, wanted: Entries) -> bytes:
    """A log of these entries."""
    text = f"calico-rkt-state 1 {boot:<36}".encode()
    head = text + f" {crc32(text):08x}\n".encode()
    body = "".join(f"+{table}{key}\t{value}\n" for (table, key), value in wanted.items()).encode("ascii")
    check = crc32(body, crc32(head))
    front = struct.pack("<II", len(body), check)
    return head + front + struct.pack("<I", crc32(front, crc32(head))) + body


def change(path: Path, act: Callable[[Entries], object] = id, *, boot: str = "") -> None:
    """Put a log in the place of the one at path, with its entries as act has changed them; boot: of another one."""
    data = path.read_bytes()
    found = entries(data)
    act(found)
    fresh = path.with_name(f"{path.name}.changed")
    fresh.write_bytes(written(boot or boot_of(data), found))
    fresh.chmod(0o600)
    fresh.replace(path)


def rows(data: bytes) -> list[str]:
    """Endpoints, their results and who has which address, a line each: what attachments leave where they are left."""
    told = []
    for (table, key), value in entries(data).items():
        if table == "e":
            held, _, fields = value.partition("\t")
            told += [f"endpoint {key} {fields}", *(f"address {a} {key}" for a in json.loads(held))]
        elif table == "r":
            told.append(f"result {key} {value}")
    return sorted(told)


def with_field(value: str, number: int, to: object) -> str:
    """An endpoint's value with another one of its fields; -1: its addresses."""
    held, _, fields = value.partition("\t")
    changed = json.loads(fields)
    if number < 0:
        return f"{json.dumps(to)}\t{fields}"
    changed[number] = to
    return f"{held}\t{json.dumps(changed)}"
