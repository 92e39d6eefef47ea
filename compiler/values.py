"""The text of one YAML value in, a number, port range, protocol or CIDR out; never YAML's own guess."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network

from calico_rkt.compiler.fields import did_you_mean
from calico_rkt.compiler.ir import PROTOCOL_NAMES, Net, PortRange

LAST_PORT = 65535

_NETWORK = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
_NUMBER = re.compile(r"0|[1-9][0-9]*")
_CIDR = re.compile(r"([^/%]+)/(0|[1-9][0-9]*)")
# As text: compiled where a value is wrong.
_OCTETS = r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}"
_RANGE_WITH_DASH = r"([0-9]+)\s*-\s*([0-9]+)"
_BY_NAME = {name: number for number, name in PROTOCOL_NAMES.items()}
_OTHER_NAMES = {"icmp6": "ICMPv6", "ipv6-icmp": "ICMPv6", "icmpv6": "ICMPv6"}


class BadValueError(Exception):
    """A value that its field does not take: a diagnostic's code, message and hint, not yet a place."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        self.code, self.message, self.hint = code, message, hint
        super().__init__(message)


def parse_number(text: str, what: str, lo: int, hi: int, code: str) -> int:
    """A decimal number from lo to hi, without sign, blank or leading zero (`010` is eight to some readers)."""
    if not _NUMBER.fullmatch(text):
        zeros = text.isascii() and text.isdecimal()
        hint = f"write {text.lstrip('0') or '0'}: a leading zero means octal to some readers" if zeros else ""
        raise BadValueError(code, f"{what} must be a number from {lo} to {hi}, not {text!r}", hint)
    # The length first: a number of a million digits takes int() minutes.
    if len(text) > 10 or not lo <= int(text) <= hi:
        shown = text if len(text) <= 10 else text[:10] + "..."
        raise BadValueError(code, f"{what} must be a number from {lo} to {hi}, not {shown}")
    return int(text)


def parse_network(text: str) -> str:
    """A network's name by CNI's rule for the conf's `name`: another one could never be a network's."""
    if not _NETWORK.fullmatch(text):
        hint = "letters, digits, '_', '.' and '-', beginning with a letter or digit, as in the conf"
        raise BadValueError("CR338", f"{text!r} is no name of a network" if text else "a network's name is empty", hint)
    return text


def parse_port(text: str) -> PortRange:
    """`80` or `8000:8100` (both ends included), 1 to 65535 as in Calico v3; never YAML's base-60 `20:21`."""
    lo, colon, hi = text.partition(":")
    if not colon:
        dashed = re.fullmatch(_RANGE_WITH_DASH, text)
        if dashed:
            raise BadValueError("CR309", f"{text!r} is no port range", f'write "{dashed[1]}:{dashed[2]}"')
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
    split = _CIDR.fullmatch(text)
    if not split:
        raise _no_cidr(text)
    try:
        found = ip_interface(text)
    except ValueError as e:
        raise BadValueError("CR313", f"{text!r} is no CIDR", _nearest_cidr(text)) from e
    net: IPv4Network | IPv6Network = found.network
    if isinstance(net, IPv6Network) and net.network_address.ipv4_mapped is not None and net.prefixlen >= 96:
        mapped = net.network_address.ipv4_mapped
        hint = f"write {ip_network((mapped, net.prefixlen - 96), strict=False)}"
        raise BadValueError("CR313", f"{text} is an IPv4 network in IPv6 clothes, which no packet carries", hint)
    if found.ip != net.network_address:
        hint = f"the network is {net}, this one address is {found.ip}/{net.max_prefixlen}"
        raise BadValueError("CR314", f"{text} has bits set behind its prefix of {net.prefixlen}", hint)
    return net


def is_everything(net: Net) -> bool:
    """Whether it is 0.0.0.0/0 or ::/0."""
    return net.prefixlen == 0


def _no_cidr(text: str) -> BadValueError:
    try:
        address = ip_address(text)
    except ValueError:
        return BadValueError("CR313", f"{text!r} is no CIDR", _nearest_cidr(text))
    hint = "a zone (%) has no place in a rule" if "%" in text else f"write {address}/{address.max_prefixlen}"
    return BadValueError("CR315", f"{text} is an address, a rule takes CIDRs only, as in Calico", hint)


def _nearest_cidr(text: str) -> str:
    """What was meant: a netmask, a prefix that is too long, zeros in front, or octets that are left out."""
    address, slash, prefix = text.partition("/")
    guesses = [text]
    if ":" in address:
        guesses.append(f"{address}/{min(int(prefix), 128) if prefix.isdecimal() and len(prefix) < 5 else 128}")
    elif re.fullmatch(_OCTETS, address):
        octets = [str(int(o)) for o in address.split(".")]
        length = min(int(prefix), 32) if prefix.isdecimal() and len(prefix) < 5 else 8 * len(octets)
        guesses.append(f"{'.'.join((octets + ['0'] * 4)[:4])}/{length}")
    for guess in guesses if slash else ():
        try:
            return f"write {ip_network(guess, strict=False)}"
        except ValueError:
            continue
    return "such as 10.1.0.0/16 or fd00:1::/64"
