"""The built file and a host without more for the tests of this folder; the other hosts are made by themselves."""

from __future__ import annotations

from tests.clients.conftest import bare_lab, binary

__all__ = ["bare_lab", "binary"]
