"""What stands in a resource in the place of what belongs there is not taken for it."""

import pytest

from calico_rkt.plugin.store.etcd3.resources import texts


@pytest.mark.parametrize("there", [None, True, 7, "net1", {"net1": ""}])
def test_what_is_no_list_has_no_texts(there):
    assert texts({"profiles": there}, "profiles") == ()


def test_the_texts_of_a_list():
    assert texts({"profiles": ["net1", "other"]}, "profiles") == ("net1", "other")
    assert texts({}, "profiles") == ()
