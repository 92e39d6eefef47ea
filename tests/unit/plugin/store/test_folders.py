"""Claims about where this host's state is."""

from __future__ import annotations

from pathlib import Path

import pytest

from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.store.folders import folders


@pytest.mark.parametrize("given", ["here", "./run", "../run", "~/run"])
@pytest.mark.parametrize("name", ["CALICO_RKT_RUN_DIR", "CALICO_RKT_LIB_DIR"])
def test_a_folder_by_a_relative_path_is_refused(monkeypatch, name, given):
    """Each working folder would have records of its own, and the address that another one's container has."""
    monkeypatch.setenv(name, given)
    with pytest.raises(CniError) as refused:
        folders()
    assert (refused.value.code, name in refused.value.msg, given in refused.value.msg) == (
        Code.INVALID_ENVIRONMENT,
        True,
        True,
    )


def test_nothing_is_the_usual_one(monkeypatch):
    monkeypatch.setenv("CALICO_RKT_RUN_DIR", "")
    monkeypatch.setenv("CALICO_RKT_LIB_DIR", "/srv/lib")
    assert folders() == (Path("/run/calico-rkt"), Path("/srv/lib"))
