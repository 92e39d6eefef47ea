"""Lines of a log in, its tables and what follows from them (who holds which address) out, and lines of what changes.

A line puts or drops one entry: `+` or `-`, the table's letter, the entry's key, and behind a tab its value. A record
that begins with `=` and a table's letter puts all that follows into that table, without the two letters. Keys and
values are JSON, an endpoint's value two texts of it with a tab between, so that no line has another's end in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from calico_rkt.compiler.conf.netconf import Address
from calico_rkt.plugin.store.log.records import DamagedLogError
from calico_rkt.plugin.store.log.texts import encode_address
from calico_rkt.plugin.store.log.used import Used

ENDPOINTS = "e"
"""[network, container, ifname]: the addresses, a tab, and all else that is recorded; see rows.py."""
RESULTS = "r"
"""The same key: the nonce of the ADD, and its result."""
CURSORS, SUBNETS, GUARDS, FLOWS_LEFT, FLOWS_UNSURE = "c", "s", "g", "l", "u"
"""[network, range set]: the address given last. A network: its subnets; what its guards were made from (null: nothing),
and they. Addresses, and ranges, whose flows conntrack may have: nothing."""
TABLES = (ENDPOINTS, RESULTS, CURSORS, SUBNETS, GUARDS, FLOWS_LEFT, FLOWS_UNSURE)
_ADDRESS = re.compile(r'"([46]:(?:[0-9a-f]{8}|[0-9a-f]{32}))"')
_SECTION = b"="
_HEX = "0123456789abcdef"


class Held:
    """Who holds which address, and what is in use; made from the endpoints, and kept in step with them."""

    def __init__(self, endpoints: Mapping[str, str]) -> None:
        self.holders = {v[2:12]: key for key, v in endpoints.items() if _is_one_v4(v)}
        if len(self.holders) < len(endpoints):
            more = {a: key for key, v in endpoints.items() if not _is_one_v4(v) for a in _held_in(v)}
            self.holders.update(more)

    @cached_property
    def used(self) -> Used:
        """What is in use, as intervals: only where an address is not free is there need of it."""
        return Used(map(_number, self.holders))

    def until(self, address: Address, text: str) -> Address | None:
        """The same as that of Tables; text: what stands for the address."""
        return self.used.until(address) if text in self.holders else None

    def give(self, key: str, value: str) -> None:
        """The endpoint of that key has what its value says."""
        for address in _held_in(value):
            self.holders[address] = key
            if "used" in self.__dict__:
                self.used.take(*_number(address))

    def take(self, key: str, value: str) -> None:
        """It has it no longer."""
        for address in _held_in(value):
            if self.holders.get(address) == key:
                del self.holders[address]
                if "used" in self.__dict__:
                    self.used.free(*_number(address))


class Tables:
    """All tables of a log, as of some byte of it, and the lines of the transaction that is being made.

    What was read of a table is taken up when somebody asks for the table: an ADD by a process of its own reads the
    results of all others, and has no need of them.
    """

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, str]] = {letter: {} for letter in TABLES}
        self._unread: dict[str, list[str | bytes]] = {letter: [] for letter in TABLES}
        self._held: Held | None = None
        self._has_looked = False
        self._before: list[tuple[str, str, str | None]] = []
        self._can_undo = True
        self.lines: list[str] = []
        """What the transaction has put and dropped."""

    @property
    def held(self) -> Held:
        """Who holds which address."""
        endpoints = self.of(ENDPOINTS)
        if self._held is None:
            self._held = Held(endpoints)
        return self._held

    def holder(self, address: Address) -> str | None:
        """The key of the endpoint that has an address; None where none has."""
        text = encode_address(address)
        return None if self._is_seen_free(text) else self.held.holders.get(text)

    def until(self, address: Address) -> Address | None:
        """The last address in use of those from this one on without a gap; None where it is free."""
        text = encode_address(address)
        return None if self._is_seen_free(text) else self.held.until(address, text)

    def _is_seen_free(self, text: str) -> bool:
        """Whether no endpoint's value has the address in it at all.

        A process of its own mostly asks for one: to look takes less than to make `held`, which others ask.
        """
        if self._held is not None or self._has_looked:
            return False
        self._has_looked = True
        quoted = f'"{text}"'
        return not any(quoted in value for value in self.of(ENDPOINTS).values())

    def get(self, table: str, key: str) -> str | None:
        return self.of(table).get(key)

    def of(self, table: str) -> Mapping[str, str]:
        """A whole table, to be looked at. DamagedLogError where what was read of it is no line of a log."""
        if self._unread[table]:
            self._take_up(table)
        return self._tables[table]

    def load(self, body: bytes) -> None:
        """Take note of what a record of the log has put and dropped. DamagedLogError for a table of others."""
        try:
            if body.startswith(_SECTION):
                self._unread[chr(body[1])].append(body)
            else:
                for line in body.decode("ascii").split("\n")[:-1]:
                    self._unread[line[1]].append(line)
        except (KeyError, IndexError) as e:
            raise DamagedLogError(f"there is no table {e}") from e

    def _take_up(self, table: str) -> None:
        unread, self._unread[table] = self._unread[table], []
        entries = self._tables[table]
        try:
            for read in unread:
                if isinstance(read, str):
                    key, tab, value = read[2:].partition("\t")
                    if self._held is not None or not tab or read[0] != "+":
                        self._set(table, key, value if tab else None)
                    else:
                        entries[key] = value
                elif self._held is None:
                    lines = read.decode("ascii").split("\n")[1:-1]
                    entries.update(line.split("\t", 1) for line in lines)  # type: ignore[misc] # a pair, or ValueError
                else:
                    for line in read.decode("ascii").split("\n")[1:-1]:
                        self._set(table, *line.split("\t", 1))
        except (ValueError, TypeError) as e:
            self._unread[table] = unread  # who asks again is told again
            raise DamagedLogError(f"an entry of table {table!r} is none: {e}") from e

    def put(self, table: str, key: str, value: str = "null") -> None:
        """Put an entry into its table, in the place of what has this key."""
        line = f"+{table}{key}\t{value}\n"
        self.lines.append(line)
        if self._unread[table]:
            self._unread[table].append(line[:-1])
            self._can_undo = False
        else:
            self._change(table, key, value)

    def drop(self, table: str, key: str) -> bool:
        """Drop an entry; False where there is none."""
        if key not in self.of(table):
            return False
        self._change(table, key, None)
        self.lines.append(f"-{table}{key}\n")
        return True

    def begin(self) -> None:
        """A transaction begins: nothing is said yet."""
        self.lines, self._before, self._can_undo = [], [], True

    def undo(self) -> bool:
        """Take the transaction's changes back; False where that can't be, and these tables are good for nothing."""
        can_undo = self._can_undo
        for table, key, value in reversed(self._before):
            self._set(table, key, value)
        self.begin()
        return can_undo

    def sections(self) -> Iterator[bytes]:
        """The bodies of records that make these tables from nothing, each table's its own."""
        for table in TABLES:
            if entries := self.of(table):
                lines = "".join([f"{key}\t{value}\n" for key, value in entries.items()])
                yield f"={table}\n{lines}".encode("ascii")

    def _change(self, table: str, key: str, value: str | None) -> None:
        self._before.append((table, key, self._tables[table].get(key)))
        self._set(table, key, value)

    def _set(self, table: str, key: str, value: str | None) -> None:
        entries = self._tables[table]
        held = self._held if table == ENDPOINTS else None
        before = entries.pop(key, None) if value is None or held else None
        if held and before is not None:
            held.take(key, before)
        if value is not None:
            entries[key] = value
            if held:
                held.give(key, value)


def _is_one_v4(value: str) -> bool:
    """Whether an endpoint has one IPv4 address, by the looks of its value: most have."""
    return value[12:15] == '"]\t' and value[:4] == '["4:' and not value[4:12].strip(_HEX)


def _held_in(value: str) -> Sequence[str]:
    """The addresses in an endpoint's value; what is none is left out: its record is named where it is read."""
    if _is_one_v4(value):
        return (value[2:12],)
    found = _ADDRESS.findall(value.partition("\t")[0])
    return [text for text in found if len(text) == (10 if text[0] == "4" else 34)]


def _number(address: str) -> tuple[int, int]:
    version, _, digits = address.partition(":")
    return int(version), int(digits, 16)
