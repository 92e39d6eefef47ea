"""Where an analysis gives up it says on what, claims nothing, and ends with 2: at every place where it can."""

import json
import re
from ipaddress import ip_network

import pytest

from calico_rkt.compiler.cli.commands import review
from calico_rkt.compiler.ir.model import Action, Match, PortRange, Rule, Side
from calico_rkt.compiler.packets import budget, labels
from calico_rkt.compiler.review.diff import diff_worlds
from tests.growth import steps
from tests.worlds import conf, world

CONF = '{"cniVersion": "1.0.0", "name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "%s"}}\n'
RULES = "".join(
    f"  - {{action: {('Allow', 'Deny')[n % 2]}, protocol: TCP, source: {{nets: [10.{n}.0.0/16]}},"
    f" destination: {{ports: ['{n + 1}:{n + 200}']}}}}\n"
    for n in range(40)
)
LABELLED = "  - {action: Allow, source: {selector: \"role == 'x' || env == 'y' || tier == 'z'\"}}\n"
TESTS = """\
tests:
  - {name: nobody comes in, from: {outside: true}, to: {network: web}, verdict: Deny}
"""
GIVEN_UP = "packet sets would have to be compared"


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, rules in (("old", ""), ("new", RULES)):
        (tmp_path / name / "profiles").mkdir(parents=True)
        (tmp_path / name / "web.conf").write_text(CONF % "172.16.0.0/24")
        text = f"network: web\ningress:\n{rules}  - default\n{TESTS}"
        (tmp_path / name / "profiles" / "web.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def little(monkeypatch):
    monkeypatch.setattr(budget, "STEPS", 60)


@pytest.fixture
def few_labels(net, monkeypatch):
    monkeypatch.setattr(labels, "MOST", 4)
    path = net / "new" / "profiles" / "web.yaml"
    text = path.read_text().replace(RULES, LABELLED).replace("from: {outside: true}", "from: {endpoints: true}")
    path.write_text(text)


COMMANDS = {
    "matrix -C new": "outside -> web: undecided: more than ",
    "explain outside web -C new": "undecided: outside -> web: more than ",
    "test -C new": "CR830 error: test 'nobody comes in' is not decided: outside -> web: more than ",
    "diff old new": "undecided: outside -> web: more than ",
    "diff old new --within-guardrails": "undecided: outside -> web: more than ",
    "diff old new --format github": "::error title=calico-rkt CR814::the difference is not decided: outside -> web",
    "report -C new -o -": "more than ",
    "report -C new -o - --since old": "undecided: outside -&gt; web: more than ",
}


@pytest.mark.usefixtures("net", "little")
@pytest.mark.parametrize("command", COMMANDS)
def test_too_much_work_is_given_up_aloud(command, capsys):
    name, *args = command.split()
    assert review(name, args) == 2
    said = capsys.readouterr()
    assert COMMANDS[command] in said.out, said
    assert GIVEN_UP in said.out
    assert said.err == ""


@pytest.mark.usefixtures("net", "little")
def test_a_test_that_is_not_decided_is_not_said_to_fail(capsys):
    assert review("report", ["-C", "new", "-o", "-"]) == 2
    page = capsys.readouterr().out
    assert ">not decided</td>" in page
    assert "0 of which do not hold, 1 are not decided" in page
    assert review("test", ["-C", "new"]) == 2
    assert capsys.readouterr().out.endswith("1 tests and guardrails: 0 hold, 0 do not, 1 are not decided\n")


@pytest.mark.usefixtures("few_labels")
@pytest.mark.parametrize("command", COMMANDS)
def test_labels_that_are_too_many_are_given_up_aloud(command, capsys):
    name, *args = command.replace("outside web", "web web").split()
    assert review(name, args) == 2
    said = capsys.readouterr()
    assert "independent labels tell more than 4 endpoints apart" in said.out, said
    assert set(re.findall(r"CR\d{3}", said.err)) == {"CR540"}, said.err


@pytest.mark.usefixtures("net", "few_labels")
def test_check_ends_with_2_where_it_gave_up(capsys):
    assert review("check", ["-C", "new"]) == 2
    assert "CR805" in capsys.readouterr().out


@pytest.mark.usefixtures("net", "little")
@pytest.mark.parametrize("command", [c for c in COMMANDS if "report" not in c and "--format" not in c])
def test_json_says_it_too(command, capsys):
    name, *args = command.split()
    assert review(name, [*args, "--format", "json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert GIVEN_UP in json.dumps(found)
    assert not found.get("cases")


def test_a_pair_with_many_changed_rules_is_answered_in_bounded_work():
    web = conf("web", ip_network("172.16.0.0/24"))

    def rules(count, port):
        return tuple(
            Rule(
                Action.ALLOW,
                Match(
                    4,
                    6,
                    source=Side(nets=(ip_network(f"10.{n >> 8}.{n & 255}.0/24"),)),
                    destination=Side(ports=(PortRange(port + n % 7, port + n % 7),)),
                ),
            )
            for n in range(count)
        )

    def diff(count):
        found = diff_worlds(*(world([web], {"web": (rules(count, port), ())}) for port in (80, 8000)))
        assert not found.undecided
        assert {c.widened for c in found.changes} == {True, False}

    needed = {count: steps(diff, count) for count in (50, 200)}
    assert needed[200] < 20 * needed[50]
    assert needed[200] < budget.STEPS // 10


def test_where_few_words_would_take_too_long_the_answer_is_many_exact_ones(monkeypatch):
    web = conf("web", ip_network("172.16.0.0/24"))
    rules = tuple(
        Rule(
            (Action.ALLOW, Action.DENY)[n % 2],
            Match(
                4, 6, source=Side(nets=(ip_network(f"{n}.0.0.0/7"),)), destination=Side(ports=(PortRange(n, n + 9),))
            ),
        )
        for n in range(2, 60, 2)
    )
    worlds = [world([web], {"web": (some, ())}) for some in ((), rules)]
    few = diff_worlds(*worlds).changes
    monkeypatch.setattr(budget, "WORDS", budget.STEPS // 10)
    many = diff_worlds(*worlds)
    assert not many.undecided
    assert len(many.changes) >= len(few) > 0


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize(
    "command", ["matrix -C new", "explain outside web -C new", "diff old new", "report -C new -o -"]
)
def test_words_cost_no_answer_that_is_known(command, monkeypatch, capsys):
    name, *args = command.split()

    def decided(steps, words):
        monkeypatch.setattr(budget, "STEPS", steps)
        monkeypatch.setattr(budget, "WORDS", words)
        review(name, args)
        return GIVEN_UP not in capsys.readouterr().out

    steps = 60
    assert not decided(steps, 1 << 40)
    while not decided(steps, 1 << 40):
        steps = steps * 9 // 8
    assert decided(steps, 1)


ENVELOPE = "guardrails:\n  envelope:\n" + "".join(
    f"    - {{name: e{n}, from: {{ip: 10.{n}.0.0/16}}, to: {{network: web}}, protocol: TCP,"
    f" port: '{n + 1}:{n + 200}'}}\n"
    for n in range(0, 40, 2)
)


@pytest.mark.parametrize("agreed", [ENVELOPE, ENVELOPE.replace("    - {name: e0", "    - {name: x, protocol: UDP}\n#")])
def test_with_any_budget_an_answer_is_the_whole_one_or_says_that_it_is_none(net, agreed, monkeypatch, capsys):
    (net / "old" / "profiles" / "rails.yaml").write_text(agreed)

    def answer():
        status = review("diff", ["old", "new", "--within-guardrails", "--format", "json"])
        return status, bool(json.loads(capsys.readouterr().out)["outside_guardrails"])

    whole = answer()
    assert whole[0] in (0, 1)
    seen = set()
    steps = 20
    while steps < 200_000:
        monkeypatch.setattr(budget, "STEPS", steps)
        status, strays = answer()
        seen.add(status)
        assert status == 2 or (status, strays) == whole, steps
        steps = steps * 4 // 3
    assert seen == {2, whole[0]}
