"""A fresh Lab for every kernel test that asks for one; without root the tests are skipped and say so."""

from __future__ import annotations

import os

import pytest

from tests.kernel.support.namespaces import Lab


@pytest.fixture
def lab():
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    with Lab() as made:
        yield made
