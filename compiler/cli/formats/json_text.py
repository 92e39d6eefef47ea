"""Plain values in, JSON for people's eyes out: the text of json.dumps(indent=2), which Python makes piece by piece."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as quoted

_WORDS = {None: "null", True: "true", False: "false"}


def json_text(value: object, lead: str = "\n") -> str:
    """The text of values whose objects have text as keys; lead is a line end and what the value's line begins with.

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
    if not value and isinstance(value, (dict, list, tuple)):
        return "{}" if isinstance(value, dict) else "[]"
    inner = f"{lead}  "
    if isinstance(value, dict):
        items = [f"{quoted(key)}: {json_text(item, inner)}" for key, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(items)}{lead}}}"
    if isinstance(value, (list, tuple)):
        items = [json_text(item, inner) for item in value]
        return f"[{inner}{f',{inner}'.join(items)}{lead}]"
    return json.dumps(value)
