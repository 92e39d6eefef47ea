"""The built file for the tests of this folder: their hosts are made by themselves."""

from __future__ import annotations

from tests.clients.conftest import binary

__all__ = ["binary"]
