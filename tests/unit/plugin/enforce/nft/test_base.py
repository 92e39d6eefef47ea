from __future__ import annotations

import re
from collections import Counter

from calico_rkt.plugin.enforce.nft.base import BASE_RULES, base_script


def test_the_base_has_as_many_rules_as_a_whole_base_is_known_by():
    added = Counter(line.split()[4] for line in base_script().splitlines() if line.startswith("add rule"))
    assert added.pop("layout") == 1 + len(BASE_RULES)
    assert added == BASE_RULES


def test_the_base_is_one_line_a_command_and_names_only_our_table():
    lines = base_script().splitlines()
    assert all(lines)
    assert all(" inet calico_rkt" in line for line in lines)


def test_every_chain_is_flushed_before_a_rule_is_added():
    lines = base_script().splitlines()
    first_rule = next(i for i, line in enumerate(lines) if line.startswith("add rule"))
    flushed = {line.split()[-1] for line in lines[:first_rule] if line.startswith("flush chain")}
    assert flushed == set(BASE_RULES)


def test_no_rule_of_ours_touches_an_interface_that_is_not_ours():
    first = {}
    for line in base_script().splitlines():
        if line.startswith("add rule"):
            first.setdefault(line.split()[4], line)
    for hook in ("prerouting", "input"):
        assert first[hook].endswith('iifname != "crk*" accept')
    assert first["forward"].endswith('iifname != "crk*" oifname != "crk*" accept')


def test_protocols_are_numbers_since_a_host_may_lack_the_file_of_their_names():
    said = re.findall(r"l4proto (?:!= )?(\{[^}]*\}|\S+)", base_script())
    assert said
    assert not re.search(r"[a-z]", " ".join(said)), said
