"""An answer of the gateway is one to what was asked, or a ValueError: nobody has to guess what it meant."""

import pytest

from calico_rkt.plugin.store.etcd3.ops import absent, answer_of, get, put

KV = {"key": "YQ==", "value": "Yg==", "mod_revision": "7"}
RANGE = {"response_range": {"kvs": [KV]}}
GOOD = {"header": {"revision": "9"}, "succeeded": True, "responses": [RANGE]}


def test_an_answer_has_what_each_get_found():
    answer = answer_of(GOOD, (), [get("a")], ())
    assert (answer.succeeded, answer.revision, answer.found[0][0].key) == (True, 9, "a")
    assert answer_of({"header": {}}, [absent("a")], [put("a", b"")], ()).succeeded is False


@pytest.mark.parametrize(
    "changed",
    [
        {"responses": []},
        {"responses": [RANGE, RANGE]},
        {"responses": True},
        {"responses": ["response_range"]},
        {"responses": [{"response_range": [KV]}]},
        {"responses": [{"response_range": {"kvs": [{**KV, "key": "A"}]}}]},
        {"responses": [{"response_range": {"kvs": [{"key": "YQ=="}]}}]},
        {"header": []},
        {"header": {"revision": float("inf")}},
        {"succeeded": "no"},
        {"succeeded": False},
    ],
)
def test_what_is_no_answer_to_it_is_refused(changed):
    with pytest.raises(ValueError, match=r"\S"):
        answer_of({**GOOD, **changed}, (), [get("a")], ())
