from __future__ import annotations

import ctypes

import pytest

from calico_rkt.plugin.enforce.nft import libnftables
from calico_rkt.plugin.errors import CniError, Code


def test_a_missing_library_is_an_error_that_names_debians_package(monkeypatch):
    def absent(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    with pytest.raises(CniError, match="libnftables1") as caught:
        libnftables._load()
    assert caught.value.code == Code.POLICY


def test_an_empty_script_needs_no_library(monkeypatch):
    monkeypatch.setattr(libnftables, "_in_turn", lambda *_steps: pytest.fail("nothing to do"))
    libnftables.run_nft("")
