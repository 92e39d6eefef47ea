"""A template in, its code out: as the build of dist/calico put it beside the template, where it did.

To import this imports Jinja2.
"""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO

from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket

from calico_rkt import templates

SUFFIX = "c"
"""Behind a template's name, the name of its code."""


class BuiltTemplates(BytecodeCache):
    """What the build put there is taken where it is of this Python, this Jinja2 and this very text; else nothing."""

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):  # a source tree has none
            bucket.load_bytecode(BytesIO(templates.data(bucket.key + SUFFIX)))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Nothing is kept: the plugin leaves no files behind."""

    def get_cache_key(self, name: str, filename: str | None = None) -> str:  # noqa: ARG002 - Jinja2 calls it
        """The template's name."""
        return name


def code_of(environment: Environment, name: str) -> bytes:
    """What the build puts beside a template: its code, and what it was made of and for."""
    source = templates.data(name).decode()
    bucket = Bucket(environment, name, BuiltTemplates().get_source_checksum(source))
    bucket.code = environment.compile(source, name)
    return bucket.bytecode_to_string()
