"""Calico selector text in, a Selector out: recursive descent, as libcalico-go's parser takes it."""

from __future__ import annotations

from collections.abc import Callable

from calico_rkt.compiler.ir.selector import ALL, LABEL_NAME, MAX_KEY, Op, Selector, in_order, negate

LONGEST_SELECTOR = 1024
"""Characters in one selector (Calico's v3 schema)."""
MAX_DEPTH = 64
"""Parentheses in each other; ours, so that no input can exhaust the stack."""


_BLANK = " \t"


class SelectorError(Exception):
    """Text that Calico would refuse, or a selector too deep; offset counts characters from 0."""

    def __init__(self, message: str, offset: int) -> None:
        self.message, self.offset = message, offset
        super().__init__(message, offset)

    def __str__(self) -> str:
        return self.message


def parse_selector(text: str) -> Selector:
    """The selector that Calico's parser (libcalico-go/lib/selector) reads in text; raises SelectorError.

    Refused here although that parser takes it: an empty text, which in a rule is no constraint at all and not
    all(), so the caller has to decide; `global(`, which Calico's validator refuses in selectors of rules.
    """
    if len(text) > LONGEST_SELECTOR:
        raise SelectorError(
            f"the selector has {len(text)} characters, Calico takes {LONGEST_SELECTOR}", LONGEST_SELECTOR
        )
    if (at := text.find("global(")) >= 0:
        raise SelectorError("global() is for namespaces and has no meaning in a rule's selector", at)
    if not text.strip(_BLANK):
        raise SelectorError("the selector is empty; all() selects every endpoint", 0)
    return _Parser(text).whole()


class _Parser:
    """Recursive descent over one text; at is the next character to read."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0

    def whole(self) -> Selector:
        found = self._or()
        if self.at < len(self.text):
            raise self._error(f"expected && or ||, found {self._found()}")
        return found

    def _or(self) -> Selector:
        return self._chain(Op.OR, self._and)

    def _and(self) -> Selector:
        return self._chain(Op.AND, self._operation)

    def _chain(self, op: Op, term: Callable[[], Selector]) -> Selector:
        terms = [term()]
        while self._take(op.value):
            terms.append(term())
        if self.text.startswith(op.value[0], self.at):
            raise self._error(f"expected {op.value}, found a single {op.value[0]}")
        return in_order(op, terms)

    def _operation(self) -> Selector:
        negated = False
        while self._take("!"):
            negated = not negated
        found = self._parenthesised() if self.text.startswith("(", self.at) else self._atom()
        self._skip()
        return negate(found) if negated else found

    def _parenthesised(self) -> Selector:
        start = self.at
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} parentheses in each other")
        self.at += 1
        found = self._or()
        if not self._take(")"):
            raise self._error(f"expected ) for the ( at character {start + 1}, found {self._found()}")
        self.depth -= 1
        return found

    def _atom(self) -> Selector:
        if self._take("all("):
            self._closing("all")
            return ALL
        if self._take("has("):
            key = self._key("a label name in has()")
            self._closing("has")
            return Selector(Op.HAS, key)
        key = self._key("a label name, has(), all(), ! or (")
        op = self._operator(key)
        if op in (Op.IN, Op.NOT_IN):
            return Selector(op, key, self._set(op))
        return Selector(op, key, (self._string(op.value),))

    def _closing(self, name: str) -> None:
        if not self._take(")"):
            raise self._error(f"expected ) to close {name}(, found {self._found()}")

    def _key(self, wanted: str) -> str:
        self._skip()
        found = LABEL_NAME.match(self.text, self.at)
        if found is None:
            raise self._error(f"expected {wanted}, found {self._found()}")
        if len(found[0]) > MAX_KEY:
            raise self._error(f"a label name of {len(found[0])} characters; Calico takes {MAX_KEY}")
        self.at = found.end()
        self._skip()
        return found[0]

    def _operator(self, key: str) -> Op:
        for op in (Op.EQUAL, Op.NOT_EQUAL, Op.CONTAINS, Op.IN):
            if self._take(op.value):
                return op
        start = self.at
        for op in (Op.STARTS, Op.ENDS, Op.NOT_IN):
            # The blank inside may be missing or be many: `startswith` is the same word to Calico.
            first, second = op.value.split()
            if self._take(first) and self._take(second):
                return op
            self.at = start
        if self.text.startswith("(", self.at) and key in ("has", "all"):
            raise self._error(f"no blank may stand between {key} and (")
        wanted = "==, !=, contains, starts with, ends with, in or not in"
        raise self._error(f"expected {wanted} after the label {key}, found {self._found()}")

    def _set(self, op: Op) -> tuple[str, ...]:
        if not self._take("{"):
            raise self._error(f"expected a set in braces after {op.value}, found {self._found()}")
        found: set[str] = set()
        while not self._take("}"):
            found.add(self._string("the { or comma of a set"))
            self._skip()
            if not self._take(",") and not self.text.startswith("}", self.at):
                raise self._error(f"expected , or }} in the set, found {self._found()}")
        return tuple(sorted(found))

    def _string(self, after: str) -> str:
        quote = self.text[self.at : self.at + 1]
        if quote not in ("'", '"'):
            raise self._error(f"expected a value in quotes after {after}, found {self._found()}")
        end = self.text.find(quote, self.at + 1)
        if end < 0:
            raise self._error(f"the value has no closing {quote}")
        value = self.text[self.at + 1 : end]
        self.at = end + 1
        return value

    def _take(self, word: str) -> bool:
        self._skip()
        if not self.text.startswith(word, self.at):
            return False
        self.at += len(word)
        self._skip()
        return True

    def _skip(self) -> None:
        while self.text[self.at : self.at + 1] in (" ", "\t"):
            self.at += 1

    def _found(self) -> str:
        if self.at >= len(self.text):
            return "the end"
        if self.text[self.at] in "\r\n":
            return "a line break (only spaces and tabs may separate words)"
        word = LABEL_NAME.match(self.text, self.at)
        return word[0][:40] if word else self.text[self.at]

    def _error(self, message: str) -> SelectorError:
        return SelectorError(message, self.at)
