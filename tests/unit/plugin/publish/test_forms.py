"""A published profile of an earlier form: told, and written anew without a question, where it is the same policy."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from calico_rkt import __version__
from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.compiler.ir.canonical import LINES as ONE_BY_ONE
from calico_rkt.compiler.ir.canonical import MERGED, digest
from calico_rkt.compiler.ir.model import Action, Match, PortRange, Rule, Side, ToHost
from calico_rkt.compiler.ir.selector_parser import parse_selector
from calico_rkt.compiler.targets.calico_v3.read import verify_calico_v3
from calico_rkt.compiler.targets.calico_v3.write import write_calico_v3
from calico_rkt.compiler.targets.proof import same_policy
from calico_rkt.plugin.enforce.compiled import compile_published
from calico_rkt.plugin.enforce.nft import table
from calico_rkt.plugin.model import Published
from calico_rkt.plugin.publish.forms import Form, form_of
from calico_rkt.plugin.publish.local import Local
from calico_rkt.plugin.store import local
from tests.older_form import LINES, PUBLISHED

CONF, _ = parse_conf(
    json.dumps(
        {
            "cniVersion": "1.0.0",
            "name": "web",
            "type": "calico",
            "ipam": {"type": "host-local", "subnet": "10.61.0.0/24"},
        }
    ).encode()
)
OLD = verify_calico_v3(PUBLISHED)
NEW = compile_published(CONF, files={"web.yaml": LINES.encode()})


def published(network):
    return Published(network.id, network.name, write_calico_v3(network), digest(network))


def with_rules(change):
    return replace(OLD, ingress=tuple(change(OLD.ingress)))


def test_the_profile_of_before_is_read_as_ever_and_is_of_the_first_form():
    assert (OLD.form, digest(OLD) in PUBLISHED) == (ONE_BY_ONE, True)
    assert verify_calico_v3(NEW.text).form == MERGED
    assert NEW.digest != digest(OLD)
    assert write_calico_v3(OLD) == PUBLISHED.replace('"0.1.0"', f'"{__version__}"')


def test_an_older_form_of_the_same_packets_is_told_as_that():
    assert form_of(published(OLD), NEW) is Form.OLDER


@pytest.mark.parametrize(
    "change",
    [
        lambda rules: rules[:-1],
        lambda rules: rules[1:],
        lambda rules: (rules[1], rules[0], *rules[2:]),
        lambda rules: (*rules[:2], replace(rules[2], action=Action.DENY), *rules[3:]),
        lambda rules: (*rules[:3], *rules[2:]),
        lambda rules: (*rules, Rule(Action.DENY)),
    ],
    ids=["one less", "no Log", "a Log later", "another action", "one twice", "a Deny at the end"],
)
def test_another_policy_is_stale_and_only_that(change):
    """A Log one line later is another one; what comes twice is not; a last Deny takes packets from a second profile."""
    found = form_of(published(with_rules(change)), NEW)
    twice = with_rules(change).ingress == (*OLD.ingress[:3], *OLD.ingress[2:])
    assert found is (Form.OLDER if twice else Form.OTHER)


def test_the_same_rules_with_another_word_on_the_host_are_another_policy():
    assert form_of(published(replace(OLD, endpoint_to_host=ToHost.RETURN)), NEW) is Form.OTHER


def test_a_text_of_the_same_form_is_stale_whatever_it_means():
    """That is a change of the files, which people are asked about."""
    assert form_of(published(OLD), published(with_rules(lambda rules: (*rules[:3], *rules[2:])))) is Form.OTHER
    assert form_of(NEW, published(OLD)) is Form.OTHER, "files that became short again"


def test_a_form_that_this_build_does_not_know_is_a_newer_one():
    assert form_of(published(replace(OLD, form=MERGED + 1)), NEW) is Form.NEWER
    assert form_of(published(replace(OLD, form=MERGED + 1, ingress=())), NEW) is Form.OTHER


def test_labels_that_no_network_here_gives_count():
    """On a cluster others' endpoints may carry both labels: two Denies are not one of their OR's half."""
    rules = [Rule(Action.ALLOW, Match(source=Side(selector=parse_selector(s)))) for s in ("has(a)", "has(a) && has(b)")]
    one, other = (replace(OLD, ingress=(rule,)) for rule in rules)
    assert not same_policy(one, other)
    assert same_policy(one, replace(OLD, ingress=tuple(rules)))


def test_what_can_not_be_decided_is_another_policy():
    ports = tuple(PortRange(n, n) for n in (80, 81))
    hard = tuple(
        Rule(
            Action.ALLOW, Match(4, 6, source=Side(selector=parse_selector(f"has(l{n})")), destination=Side(ports=ports))
        )
        for n in range(14)
    )
    assert not same_policy(replace(OLD, ingress=hard), replace(OLD, ingress=(*hard, hard[0])))
    assert same_policy(replace(OLD, ingress=hard), replace(OLD, ingress=hard))


@pytest.fixture
def host(tmp_path, monkeypatch):
    """The older profile in force on this host, and the files of the same policy."""
    monkeypatch.setattr(table, "base_present", lambda: False)
    folder = tmp_path / "overrides"
    folder.mkdir()
    (folder / "web.yaml").write_text(LINES)
    conf = replace(CONF, profiles_dir=str(folder))
    store = local.LocalStore(tmp_path / "run", tmp_path / "lib", local._verify)
    store.publish(published(OLD))
    return Local(store, {"web": conf})


def test_a_host_says_it_and_would_change_it_without_a_question(host):
    (state,) = host.states()
    assert (state.state, state.why.split(";")[0]) == ("older form", "same packets")
    (change,) = host.plan()
    assert change.same_policy
    assert change.new == NEW


def test_a_host_says_a_newer_form_and_leaves_it(host):
    host.store.unpublish("web")
    host.store.publish(published(replace(OLD, form=MERGED + 1)))
    (state,) = host.states()
    assert (state.state, state.why.split(";")[0]) == ("newer form", "same packets")
    assert host.plan() == ()


def test_a_change_of_policy_is_asked_about_whatever_its_form(host):
    host.store.unpublish("web")
    host.store.publish(published(with_rules(lambda rules: rules[1:])))
    (change,) = host.plan()
    assert not change.same_policy
    assert [s.state for s in host.states()] == ["stale"]
