"""The text of one YAML value in, a number, port range, protocol or CIDR out; never YAML's own guess."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import TypeVar

from calico_rkt.compiler.ir.ids import NETWORK_NAME
from calico_rkt.compiler.ir.model import PROTOCOL_NAMES, Net, PortRange
from calico_rkt.compiler.text.fields import Field, Problems, did_you_mean, text_of
from calico_rkt.compiler.text.nodes import Scalar, cidr_of

T = TypeVar("T")

LAST_PORT = 65535

_NUMBER = re.compile(r"0|[1-9][0-9]*")
# Those below as text: compiled where a value is wrong.
_OCTETS = r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}"
_ZEROS_BEFORE = r"0+[1-9]|0+[0-9]*[89][0-9]*"
"""Not octal, or the same in octal."""
_OCTAL = r"(?<![0-9a-fA-F:])0[0-9]"
_MASK = r"[0-9]{1,3}(\.[0-9]{1,3}){3}"
_RANGE_WITH_DASH = r"([0-9]+)\s*-\s*([0-9]+)"
_OCTET_OF = {str(n): n for n in range(256)}
_LENGTH_OF = {str(n): n for n in range(33)}
_BY_NAME = {name: number for number, name in PROTOCOL_NAMES.items()}
_OTHER_NAMES = {"icmp6": "ICMPv6", "ipv6-icmp": "ICMPv6", "icmpv6": "ICMPv6"}


class BadValueError(Exception):
    """A value that its field does not take: a diagnostic's code, message and hint, not yet a place."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        self.code, self.message, self.hint = code, message, hint
        super().__init__(message)


def parsed(text: Scalar, parse: Callable[[str], T], problems: Problems) -> T | None:
    """What parse makes of a value's text; None and an error where that raises BadValueError."""
    try:
        return parse(text.text)
    except BadValueError as e:
        problems.error(e.code, e.message, text.span, e.hint)
        return None


def value_of(field: Field | None, parse: Callable[[str], T], problems: Problems) -> T | None:
    """The same of a field's one value; None without an error where the field is left out."""
    text = text_of(field.value, field.key.text, problems) if field else None
    return parsed(text, parse, problems) if text else None


def parse_number(text: str, what: str, lo: int, hi: int, code: str) -> int:
    """A decimal number from lo to hi, without sign, blank or leading zero (`010` is eight to some readers)."""
    if not _NUMBER.fullmatch(text):
        shown = repr(text) if len(text) <= 20 else f"{text[:10]!r}..."
        raise BadValueError(
            code, f"{what} must be a number from {lo} to {hi}, not {shown}", _without_zeros(text, lo, hi)
        )
    # The length first: a number of a million digits takes int() minutes.
    if len(text) > 10 or not lo <= int(text) <= hi:
        shown = text if len(text) <= 10 else text[:10] + "..."
        raise BadValueError(code, f"{what} must be a number from {lo} to {hi}, not {shown}")
    return int(text)


def _without_zeros(text: str, lo: int, hi: int) -> str:
    """The hint for a number that begins with 0; what its field does not take is not offered."""
    why = "a leading zero means octal to some readers"
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        return ""
    if not lo <= int(text) <= hi:
        return why
    return f"write {int(text)}: {why}"


def parse_network(text: str) -> str:
    """A network's name by CNI's rule for the conf's `name`: another one could never be a network's."""
    if not NETWORK_NAME.fullmatch(text):
        hint = "letters, digits, '_', '.' and '-', beginning with a letter or digit, as in the conf"
        raise BadValueError("CR338", f"{text!r} is no name of a network" if text else "a network's name is empty", hint)
    return text


def parse_port(text: str) -> PortRange:
    """`80` or `8000:8100` (both ends included), 1 to 65535 as in Calico v3; never YAML's base-60 `20:21`."""
    lo, colon, hi = text.partition(":")
    if not colon:
        dashed = re.fullmatch(_RANGE_WITH_DASH, text)
        if dashed:
            raise BadValueError("CR309", f"{text!r} is no port range", _with_colon(dashed[1], dashed[2]))
        port = parse_number(text, "a port", 1, LAST_PORT, "CR309")
        return PortRange(port, port)
    first = parse_number(lo, "the first port of a range", 1, LAST_PORT, "CR309")
    last = parse_number(hi, "the last port of a range", 1, LAST_PORT, "CR309")
    if first > last:
        raise BadValueError("CR310", f"the port range {text} is reversed", f'write "{last}:{first}"')
    return PortRange(first, last)


def parse_protocol(text: str) -> int:
    """A protocol by Calico's exact name, or by number 1 to 255."""
    if text in _BY_NAME:
        return _BY_NAME[text]
    if text.isdecimal():
        return parse_number(text, "a protocol number", 1, 255, "CR308")
    if text.lower() in ("all", "any", "ip", "*"):
        raise BadValueError("CR308", f"there is no protocol {text!r}", "leave protocol out: the rule matches every one")
    known = _OTHER_NAMES.get(text.lower())
    hint = f"did you mean {known}?" if known else did_you_mean(text, _BY_NAME) + " (or a number from 1 to 255)"
    raise BadValueError("CR308", f"there is no protocol {text!r}", hint)


def parse_net(text: str) -> Net:
    """A strict CIDR: address, slash, prefix length, and no bit set behind the prefix."""
    if (usual := _usual_net(text)) is not None:
        return usual
    found = cidr_of(text)
    if found is None:
        raise _no_cidr(text)
    net: IPv4Network | IPv6Network = found.network
    if isinstance(net, IPv6Network) and net.network_address.ipv4_mapped is not None and net.prefixlen >= 96:
        hint = _either(ip_interface(f"{_unmapped(found.ip)}/{net.prefixlen - 96}"))
        raise BadValueError("CR313", f"{text} is an IPv4 network in IPv6 clothes, which no packet carries", hint)
    if found.ip != net.network_address:
        raise BadValueError("CR314", f"{text} has bits set behind its prefix of {net.prefixlen}", _either(found))
    return net


def _usual_net(text: str) -> IPv4Network | None:
    """The IPv4 network of a text as nearly all are written; None for all others, right or wrong, which take longer."""
    address, _, length = text.partition("/")
    octets = address.split(".")
    if length not in _LENGTH_OF or len(octets) != 4:
        return None
    first = 0
    for octet in octets:
        if octet not in _OCTET_OF:
            return None
        first = first << 8 | _OCTET_OF[octet]
    free = 32 - _LENGTH_OF[length]
    return IPv4Network((first, 32 - free)) if first >> free << free == first else None


def _either(found: IPv4Interface | IPv6Interface) -> str:
    """The network and the one address, where the text could mean either; both are CIDRs that a rule takes."""
    if found.ip == found.network.network_address:
        return f"write {found.network}"
    return f"the network is {found.network}, this one address is {_single(found.ip)}"


def _single(address: IPv4Address | IPv6Address) -> str:
    plain = _unmapped(address)
    return f"{plain}/{plain.max_prefixlen}"


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address


def is_everything(net: Net) -> bool:
    """Whether it is 0.0.0.0/0 or ::/0."""
    return net.prefixlen == 0


def _no_cidr(text: str) -> BadValueError:
    try:
        address = ip_address(text)
    except ValueError:
        return BadValueError("CR313", f"{text!r} is no CIDR", nearest_cidr(text))
    hint = "a zone (%) has no place in a rule" if "%" in text else f"write {_single(address)}"
    return BadValueError("CR315", f"{text} is an address, a rule takes CIDRs only, as in Calico", hint)


def nearest_cidr(text: str) -> str:
    """What was meant, where that is sure: blanks, a netmask, octets that are left out. Else what a CIDR looks like."""
    address, prefix = (part.strip() for part in (*text.split("/"), "")[:2])
    guesses = []
    if re.fullmatch(_ZEROS_BEFORE, prefix):
        prefix = prefix.lstrip("0")
    if text.count("/") == 1 and (_NUMBER.fullmatch(prefix) or re.fullmatch(_MASK, prefix)):
        whole = ".".join((address.split(".") + ["0"] * 4)[:4]) if re.fullmatch(_OCTETS, address) else address
        guesses = [f"{whole}/{prefix}"]
    for guess in guesses:
        try:
            net = ip_network(guess)
        except ValueError:
            continue
        if not (isinstance(net, IPv6Network) and net.network_address.ipv4_mapped is not None):
            return f"write {net}"
    return _why_not(address, prefix) or "such as 10.1.0.0/16 or fd00:1::/64"


def _why_not(address: str, prefix: str) -> str:
    """What is wrong with a part of it, where nobody can know what was meant."""
    if "%" in address:
        return "a zone (%) has no place in a rule"
    if re.search(_OCTAL, address):
        return "a leading zero means octal to some readers: write it without"
    try:
        most = ip_address(address).max_prefixlen
    except ValueError:
        return ""
    number = prefix.isdecimal() or prefix[1:].isdecimal()
    return f"a prefix length is a number from 0 to {most}" if prefix == "" or number else ""


def _with_colon(first: str, last: str) -> str:
    """The hint for `80-90`, where that is a range at all."""
    try:
        parse_port(f"{first}:{last}")
    except BadValueError:
        return "a range is FIRST:LAST, such as 8000:8100"
    return f'write "{first}:{last}"'
