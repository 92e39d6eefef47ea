"""docs/proof.md is what the kept results of `make prove` say, and nobody edits it by hand."""

from tests.prove.result import PAGE, page


def test_the_page_is_what_the_results_say():
    assert PAGE.read_text() == page()
