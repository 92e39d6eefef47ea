"""What the last attestation came to, where its file says nothing that can be read."""

import pytest

from calico_rkt.plugin.attest import record


@pytest.mark.parametrize("text", ["", "{", "[]", '{"outcome": 1}', "[" * 100_000], ids=lambda text: text[:2])
def test_what_can_not_be_read_is_as_if_none_was_kept(tmp_path, text):
    record.keep(tmp_path, "equal")
    assert record.last(tmp_path).outcome == "equal"
    (tmp_path / record.NAME).write_text(text)
    assert record.last(tmp_path) is None
