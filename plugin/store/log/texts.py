"""Values in, the texts that stand for them in a log out, and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from json.encoder import encode_basestring_ascii

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.compiler.typed import Any

_ENCODE = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps makes one anew each time
_SAY: dict[type, Callable[[Any], str]] = {str: encode_basestring_ascii, int: str}
"""By a value's type: the encoder makes an encoder for each list, which takes longer than what mostly stands in one."""


def text_of(value: object) -> str:
    """JSON as it stands in a log: ASCII on one line."""
    if isinstance(value, list | tuple):
        return f"[{','.join([_SAY.get(v.__class__, _ENCODE)(v) for v in value])}]"
    return _SAY.get(value.__class__, _ENCODE)(value)


def encode_address(address: Address) -> str:
    """The address as text that sorts as addresses do: the family's digit, a colon, its bytes in hex."""
    return f"{address.version}:{address.packed.hex()}"


def decode_address(text: str) -> Address:
    """The address that encode_address() was given."""
    packed = bytes.fromhex(text[2:])
    return IPv4Address(packed) if text[0] == "4" else IPv6Address(packed)
