"""Edits of the live table at random: what attest says of each holds for real packets. `make prove` tries thousands."""

import pytest

from tests.kernel.support.attest_trial import try_edits
from tests.kernel.support.attest_wire import Wire
from tests.kernel.support.attested import Attested
from tests.kernel.support.namespaces import Lab

pytestmark = pytest.mark.kernel
SEED, EDITS, AIMED = 16, 40, 15


def test_what_attest_says_of_an_edit_holds_for_real_packets(tmp_path):
    with Lab() as lab:
        world = Attested(lab, tmp_path / "net.d")
        with Wire(world, tmp_path) as wire:
            found = try_edits(world, wire, SEED, EDITS, AIMED)
    print(f"seed {found.seed}: {dict(found.edits)}, {found.sent} packets")
    assert found.wrong == [], f"seed {found.seed}"
    assert found.edits["different"] >= EDITS // 2, found
    assert found.edits["equal"] >= 2, found
