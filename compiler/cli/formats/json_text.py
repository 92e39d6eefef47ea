"""Plain values in, JSON for people's eyes out: the text of json.dumps(indent=2), which Python makes piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterable
from json.encoder import encode_basestring_ascii as quoted

_WORDS = {None: "null", True: "true", False: "false"}


def json_text(value: object, lead: str = "\n") -> str:
    """The text of values whose objects have text as keys; lead is a line end and what the value's line begins with.

    A list may be anything that gives its items one by one: as values they take many times what their text does.

    >>> print(json_text({"cells": [1, "a", {}], "more": None}))
    {
      "cells": [
        1,
        "a",
        {}
      ],
      "more": null
    }
    """
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    inner = f"{lead}  "
    if isinstance(value, dict):
        if not value:
            return "{}"
        items = [f"{quoted(key)}: {json_text(item, inner)}" for key, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(items)}{lead}}}"
    if isinstance(value, Iterable):
        items = [json_text(item, inner) for item in value]
        return f"[{inner}{f',{inner}'.join(items)}{lead}]" if items else "[]"
    return json.dumps(value)
