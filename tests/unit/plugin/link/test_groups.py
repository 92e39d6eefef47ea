from __future__ import annotations

import pytest

from calico_rkt.plugin.enforce.compiled import require_own_group
from calico_rkt.plugin.errors import CniError, Code
from calico_rkt.plugin.link import groups
from calico_rkt.plugin.link.groups import clash, group_of, removal_group
from tests.clashing import two_with_one_number


def test_a_networks_number_is_the_same_in_every_process_and_release():
    assert [group_of(i) for i in ("web", "a", "b")] == [291716162, 541241711, 742458361]


def test_numbers_of_networks_and_of_removals_are_apart_and_fit_into_what_a_device_has():
    assert all(group_of(f"n{n}") in groups.NETWORKS for n in range(1000))
    assert all(removal_group() in groups.REMOVALS for _ in range(1000))
    assert groups.NETWORKS.stop <= groups.REMOVALS.start
    assert groups.REMOVALS.stop <= 1 << 31, "the kernel's int"
    assert groups.NETWORKS.start > 255, "what /etc/iproute2/group names"


def test_two_networks_with_one_number_are_found_and_refused():
    first, second = two_with_one_number()
    assert clash(second, ["web", first, second]) == first
    assert clash(first, [second]) == second
    assert clash("web", [first, second]) is None
    assert clash(first, [first]) is None
    require_own_group(first, [first, "web"])
    with pytest.raises(CniError, match=f"{second} has the same device group as network {first}") as caught:
        require_own_group(second, [first])
    assert caught.value.code == Code.PROFILE_UNUSABLE
