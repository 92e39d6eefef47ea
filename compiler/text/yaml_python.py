"""Text in, events out: PyYAML's own parser, for a Python without libyaml, whose ways with tabs it takes over."""

from __future__ import annotations

from typing import Any

import yaml

_BREAKS = "\r\n\x85\u2028\u2029"
_ENDS = "\0 \t" + _BREAKS


class Loader(yaml.SafeLoader):
    """Its scanner's methods that differ from libyaml's scanner.c: tabs beside blanks, block headers, flow words."""

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

    def scan_directive_name(self, start_mark: Any) -> str:  # noqa: ANN401 - PyYAML's mark
        name = str(super().scan_directive_name(start_mark))  # type: ignore[no-untyped-call]
        if name not in ("YAML", "TAG"):
            problem = "found unknown directive name"
            raise yaml.scanner.ScannerError("while scanning a directive", start_mark, problem, self.get_mark())
        return name

    def scan_block_scalar_indicators(self, start_mark: Any) -> tuple[bool | None, int | None]:  # noqa: ANN401
        """What follows | and >: + or - (chomping) and one digit (indentation), in either order."""
        chomping: bool | None = None
        increment: int | None = None
        for _ in range(2):
            if chomping is None and self.peek() in ("+", "-"):
                chomping = self.peek() == "+"
            elif increment is None and self.peek() in "0123456789":
                increment = int(self.peek())
                if not increment:
                    problem = "found an indentation indicator equal to 0"
                    raise yaml.scanner.ScannerError(
                        "while scanning a block scalar", start_mark, problem, self.get_mark()
                    )
            else:
                break
            self.forward()
        return chomping, increment

    def scan_block_scalar_ignored_line(self, start_mark: Any) -> None:  # noqa: ANN401
        while self.peek() in (" ", "\t"):
            self.forward()
        super().scan_block_scalar_ignored_line(start_mark)

    def scan_block_scalar_indentation(self) -> tuple[list[str], int, Any]:
        found: tuple[list[str], int, Any] = super().scan_block_scalar_indentation()
        if self.peek() == "\t":  # before the first word the indentation is not known yet
            self._tab_in_a_block()
        return found

    def scan_block_scalar_breaks(self, indent: int) -> tuple[list[str], Any]:
        found: tuple[list[str], Any] = super().scan_block_scalar_breaks(indent)
        if self.peek() == "\t" and self.column < indent:
            self._tab_in_a_block()
        return found

    def _tab_in_a_block(self) -> None:
        problem = "found a tab character where an indentation space is expected"
        raise yaml.scanner.ScannerError("while scanning a block scalar", self.get_mark(), problem, self.get_mark())

    def scan_plain(self) -> Any:  # noqa: ANN401 - PyYAML's token
        """A word without quotes. In brackets it may hold a question mark; a colon is followed by a blank."""
        start = end = self.get_mark()
        chunks: list[str] = []
        blanks: list[str] = []
        while not self._at_a_document() and self.peek() != "#":
            length = self._length_of_plain(start)
            if not length:
                break
            self.allow_simple_key = False
            chunks += [*blanks, self.prefix(length)]
            self.forward(length)
            end = self.get_mark()
            blanks = self.scan_plain_spaces(self.indent + 1, start)
            if not blanks or (not self.flow_level and self.column < self.indent + 1):
                break
        return yaml.ScalarToken("".join(chunks), True, start, end)

    def _length_of_plain(self, start: Any) -> int:  # noqa: ANN401
        length = 0
        while (character := self.peek(length)) not in _ENDS:
            after = self.peek(length + 1)
            if character == ":" and self.flow_level and after in tuple(",?[]{}"):
                self.forward(length)
                problem = "found unexpected ':'"
                raise yaml.scanner.ScannerError("while scanning a plain scalar", start, problem, self.get_mark())
            if (character == ":" and after in _ENDS) or (self.flow_level and character in ",[]{}"):
                break
            length += 1
        return length

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
