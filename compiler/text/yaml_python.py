"""Text in, events out: PyYAML's own parser, for a Python without libyaml, whose ways with tabs it takes over."""

from __future__ import annotations

from typing import Any

import yaml

_BREAKS = "\r\n\x85\u2028\u2029"


class Loader(yaml.SafeLoader):
    """Two of its scanner's methods, each with the tab beside the blank; libyaml's scanner.c has the same two."""

    def scan_to_next_token(self) -> None:
        if self.index == 0 and self.peek() == "\ufeff":
            self.forward()
        while True:
            # A tab is no indentation: where a key may begin it stays for the error.
            while self.peek() == " " or (self.peek() == "\t" and (self.flow_level or not self.allow_simple_key)):
                self.forward()
            if self.peek() == "#":
                while self.peek() not in "\0" + _BREAKS:
                    self.forward()
            if not self._line_break():
                return
            if not self.flow_level:
                self.allow_simple_key = True

    def scan_plain_spaces(self, indent: int, start_mark: Any) -> list[str]:  # noqa: ANN401 - PyYAML's mark
        length = 0
        while self.peek(length) in (" ", "\t"):
            length += 1
        blanks = self.prefix(length)
        self.forward(length)
        if self.peek() not in _BREAKS:
            return [blanks] if blanks else []
        first = self._line_break()
        self.allow_simple_key = True
        breaks: list[str] = []
        while not self._at_a_document() and self.peek() in " \t" + _BREAKS:
            if self.peek() == "\t" and self.column < indent:
                problem = "found a tab character that violates indentation"
                raise yaml.scanner.ScannerError("while scanning a plain scalar", start_mark, problem, self.get_mark())
            if self.peek() in " \t":
                self.forward()
            else:
                breaks.append(self._line_break())
        if self._at_a_document():
            return []
        folded = [first] if first != "\n" else [] if breaks else [" "]
        return [*folded, *breaks]

    def _line_break(self) -> str:
        return str(self.scan_line_break())  # type: ignore[no-untyped-call]  # the stubs have no types for it

    def _at_a_document(self) -> bool:
        """Whether a line of --- or ... begins here."""
        return bool(self.column == 0 and self.prefix(3) in ("---", "...") and self.peek(3) in "\0 \t" + _BREAKS)
