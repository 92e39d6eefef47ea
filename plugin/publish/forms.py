"""A published profile and what the files compile to in; whether the two are one policy in two forms, out."""

from __future__ import annotations

from enum import Enum

from calico_rkt.compiler.ir.canonical import MERGED
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.plugin.model import Published


class Form(Enum):
    """How what is published is written, where it has another digest than what would be published now.

    OLDER: an earlier form of the same policy, which an apply writes anew. NEWER: a form that this build does not write,
    of the same policy; it stays. OTHER: another policy, or another text of the form that would be written.
    """

    OLDER = "older form"
    NEWER = "newer form"
    OTHER = "stale"


def form_of(published: Published, new: Published) -> Form:
    """Both texts were verified. The same policy: all packets fare alike, whatever labels their ends have, and Logs."""
    old, now = verify_calico_v3(published.text), verify_calico_v3(new.text)
    if now.form <= old.form <= MERGED:
        return Form.OTHER
    from calico_rkt.compiler.targets.proof import same_policy  # most profiles are of one form

    if not same_policy(old, now):
        return Form.OTHER
    return Form.OLDER if old.form < now.form else Form.NEWER
