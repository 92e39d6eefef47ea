"""A fresh Lab for every kernel test that asks for one; without root the tests are skipped and say so."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("kernel_lab", Path(__file__).with_name("lab.py"))
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
sys.modules["kernel_lab"] = _module
_spec.loader.exec_module(_module)


@pytest.fixture
def lab():
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with _module.Lab() as made:
        yield made
