"""Edits of the live table at random: what attest says of each holds for real packets. `make prove` tries thousands."""

import pytest

from tests.kernel.support.attest_trial import try_edits
from tests.kernel.support.attest_wire import Wire
from tests.kernel.support.attested import Attested
from tests.kernel.support.namespaces import Lab

pytestmark = pytest.mark.kernel
SEED, EDITS, AIMED = 16, 40, 15


@pytest.fixture(scope="module")
def wired(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edits")
    with Lab() as lab:
        world = Attested(lab, folder / "net.d")
        with Wire(world, folder) as wire:
            yield world, wire


def test_what_attest_says_of_an_edit_holds_for_real_packets(wired):
    found = try_edits(*wired, SEED, EDITS, AIMED)
    print(f"seed {found.seed}: {dict(found.edits)}, {found.sent} packets")
    assert found.wrong == [], f"seed {found.seed}"
    assert found.edits["different"] >= EDITS // 2, found
    assert found.edits["equal"] >= 2, found


def test_so_it_does_of_an_edit_of_whatever_nft_can_say(wired):
    found = try_edits(*wired, SEED, EDITS // 2, AIMED, grammar=True)
    print(f"seed {found.seed}: {dict(found.edits)}, {found.sent} packets")
    assert found.wrong == [], f"seed {found.seed}"
    assert all(found.edits[said] for said in ("equal", "different", "not proven")), found
