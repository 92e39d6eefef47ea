"""How a message says many things: what it leaves out is counted."""

from calico_rkt.compiler.diagnostics import counted, cut_short


def test_what_a_message_leaves_out_is_counted():
    assert [cut_short(list("abcd")[:n], 3) for n in (1, 3, 4)] == ["a", "a, b, c", "a, b, c and 1 more"]
    assert cut_short(["a", "b", "c"], 2, "; ") == "a; b and 1 more"
    assert [counted(n, "pool") for n in (0, 1, 2)] == ["0 pools", "1 pool", "2 pools"]
