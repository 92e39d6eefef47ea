from calico_rkt.compiler.review.each import Each


def test_items_are_made_when_they_are_read_each_time_and_none_is_kept():
    made = []

    def make(n):
        made.append(n)
        return n * n

    found = Each((1, 2, 3), make)
    assert made == []
    assert list(found) == list(found) == [1, 4, 9]
    assert made == [1, 2, 3, 1, 2, 3]


def test_it_equals_what_gives_equal_items():
    assert Each([1, 2], str) == Each((1, 2), str)
    assert Each([1, 2], str) != Each([1, 3], str)
    assert Each([1], str) != ["1"]
