"""Silences and the baseline: they take away what they name, and nothing else."""

import os
import subprocess
import sys
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_rkt.compiler.diagnostics import CompileError, Span, warning
from calico_rkt.compiler.review.baseline import Entry, accept, baseline_text, fingerprint, parse_baseline, recorded
from calico_rkt.compiler.review.ignore_comments import apply, silences
from calico_rkt.compiler.text.yaml_nodes import comments

CONF = '{"name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}\n'
DEAD = """\
network: web
ingress:
  - {action: Allow, protocol: TCP}
  # calico-rkt: ignore CR801 -- stays until the move
  - action: Allow
    protocol: TCP
    destination: {ports: [80]}
  - {action: Allow, protocol: TCP, destination: {ports: [81]}}
"""


def check(folder, *args, env=None):
    here = () if "-C" in args else ("-C", ".")
    command = [sys.executable, "-m", "calico_rkt", "check", *here, *args]
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def net(tmp_path):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "web.conf").write_text(CONF)
    (tmp_path / "profiles" / "web.yaml").write_text(DEAD)
    return tmp_path


def codes(done):
    return [line.split()[1] for line in done.stdout.splitlines() if " warning: " in line or " error: " in line]


def test_a_silence_is_about_one_rule_and_one_code(net):
    done = check(net)
    assert codes(done) == ["CR801"]
    assert "web.yaml:8:5" in done.stdout


@pytest.mark.parametrize(
    ("comment", "code", "words"),
    [
        ("# calico-rkt: ignore CR801", "CR821", "without a reason"),
        ("# calico-rkt: ignore CR801 --", "CR821", "without a reason"),
        ("# calico-rkt: ignore CR801 because", "CR821", "without a reason"),
        ("# calico-rtk: ignore CR801 -- x", "CR821", "looks like a silence"),
        ("# calico-rkt ignore CR801 -- x", "CR821", "looks like a silence"),
        ("#calico-rkt: ignore CR801 -- x", "CR821", "looks like a silence"),
        ("# calico-rkt: ignroe CR801 -- x", "CR821", "looks like a silence"),
        ("# calico-rkt: ignore CR810 -- x", "CR821", "CR810 is nothing that can be silenced"),
        ("# calico-rkt: ignore CR802 -- x", "CR820", "there is no CR802 here"),
    ],
)
def test_what_silences_nothing_is_a_finding(net, comment, code, words):
    path = net / "profiles" / "web.yaml"
    path.write_text(DEAD.replace("# calico-rkt: ignore CR801 -- stays until the move", comment))
    done = check(net)
    assert sorted(codes(done)) == sorted(["CR801", "CR801", code])
    assert words in done.stdout


def test_a_comment_behind_a_rule_and_words_that_are_no_comment(net):
    path = net / "profiles" / "web.yaml"
    behind = '  - {action: Allow, protocol: TCP, destination: {ports: [81]}} # calico-rkt: ignore CR801 -- "# so"\n'
    path.write_text("\n".join([*DEAD.splitlines()[:-1], behind]))
    assert codes(check(net)) == []
    assert comments(b"a: '# calico-rkt: no'  # yes\nb: |\n  # calico-rkt: no\n  text\nc: x#no\n# last\n") == [
        (1, 24, "# yes"),
        (6, 1, "# last"),
    ]
    assert comments(b"\xff") == comments(b"a: [") == []


@given(st.lists(st.sampled_from(["- a: 1", "  b: 2", "# calico-rkt: ignore CR801 -- x", "", "# note"]), max_size=12))
def test_a_silence_covers_its_own_item_only(lines):
    data = "\n".join(lines).encode()
    found, problems = silences({"w.yaml": data})
    assert problems == ()
    for silence in found:
        inside = lines[silence.first - 1 : silence.last]
        assert sum(line.startswith("- ") for line in inside) <= 1
        assert all(lines[n - 1].strip()[:1] in ("", "#") for n in range(silence.span.line + 1, silence.first))
    everything = [warning("CR801", "m", Span("w.yaml", n, 1, 2)) for n in range(1, len(lines) + 1)]
    kept = [d for d in apply(everything, found, {"CR801"}) if d.code == "CR801"]
    assert {d.span.line for d in everything} - {d.span.line for d in kept} == {
        n for s in found for n in range(s.first, min(s.last, len(lines)) + 1)
    }


def test_a_baseline_is_written_read_and_ends(net):
    assert check(net).returncode == 1
    refused = check(net, "--write-baseline")
    assert (refused.returncode, "--write-baseline needs --reason" in refused.stderr) == (2, True)
    assert not (net / "baseline.yaml").exists()
    done = check(net, "--write-baseline", "--reason", 'old: "as it was"', "--until", "2027-03-01")
    assert (done.returncode, done.stdout) == (0, "confs: .; overrides: profiles\n1 network checked: nothing to say\n")
    assert check(net, "--today", "2027-03-01").returncode == 0
    ended = check(net, env={"SOURCE_DATE_EPOCH": "1803945600"})  # 2027-03-02
    assert codes(ended) == ["CR801"]
    assert "its entry in the baseline ended on 2027-03-01" in ended.stdout
    assert codes(check(net, "--no-baseline")) == ["CR801"]
    path = net / "profiles" / "web.yaml"
    path.write_text("# moved\n\n" + path.read_text())
    assert check(net, "--today", "2026-12-01").returncode == 0
    path.write_text(path.read_text().replace("[81]", "[82]"))
    assert sorted(codes(check(net, "--today", "2026-12-01"))) == ["CR801", "CR822"]


BLOCK = """\
network: web
ingress:
  - {action: Allow, protocol: TCP}
  - action: Allow
    protocol: TCP
    # as it was
    destination: {ports: [80]}
"""


def test_a_rule_of_several_lines_is_accepted_as_it_was_and_no_other(net):
    """All of them may begin with the same line."""
    path = net / "profiles" / "web.yaml"
    path.write_text(BLOCK)
    assert check(net, "--write-baseline", "--reason", "old").returncode == 0
    assert 'text: "- action: Allow protocol: TCP destination: {ports: [80]}"' in (net / "baseline.yaml").read_text()
    path.write_text(BLOCK.replace("# as it was", "# as it is"))
    assert check(net).returncode == 0
    path.write_text(BLOCK.replace("[80]", "[81]"))
    assert sorted(codes(check(net))) == ["CR801", "CR822"]


def test_a_revision_has_its_own_baseline_by_whichever_name_its_folder_goes(net):
    assert check(net, "--write-baseline", "--reason", "old").returncode == 0
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "one")):
        subprocess.run(["git", *words], cwd=net, check=True)
    (net / "baseline.yaml").unlink()
    for folder in (".", str(net), f"../{net.name}"):
        done = check(net, "-C", folder, "--revision", "HEAD")
        assert (done.returncode, codes(done)) == (0, []), done.stdout
    assert codes(check(net)) == ["CR801"]


def test_an_entry_of_a_rule_of_one_line_accepts_no_longer_one_that_begins_so(net):
    path = net / "profiles" / "web.yaml"
    path.write_text("network: web\ningress:\n  - action: Allow\n  - action: Allow\n")
    assert check(net, "--write-baseline", "--reason", "twice").returncode == 0
    assert check(net).returncode == 0
    assert "whole: true" in (net / "baseline.yaml").read_text()
    path.write_text("network: web\ningress:\n  - action: Allow\n  - action: Allow\n    protocol: TCP\n")
    assert "CR801" in codes(check(net)), "another rule stands there"


@pytest.mark.parametrize(("mark", "wrong"), [("true", []), ("yes", ["CR823"]), ("false", ["CR823"])])
def test_an_entry_is_whole_or_says_nothing_of_it(net, mark, wrong):
    text = f'{{code: CR801, file: profiles/web.yaml, text: "x", reason: y, whole: {mark}}}'
    (net / "baseline.yaml").write_text(f"baseline: [{text}]\n")
    assert (["CR823"] if "CR823" in check(net).stderr else []) == wrong


def test_an_entry_of_an_older_build_has_the_first_line_alone_and_keeps_its_reason(net):
    (net / "profiles" / "web.yaml").write_text(BLOCK)
    older = 'baseline:\n  - {code: CR801, file: profiles/web.yaml, text: "- action: Allow", reason: before}\n'
    (net / "baseline.yaml").write_text(older)
    assert check(net).returncode == 0
    assert check(net, "--write-baseline", "--reason", "now").returncode == 0
    text = (net / "baseline.yaml").read_text()
    assert 'reason: "before"' in text
    assert "ports: [80]" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("baseline: {}", "CR302 error: baseline must be a list"),
        ("baselin: []", "did you mean baseline?"),
        ("baseline: [{code: CR801}]", "an entry without file"),
        ("baseline: [{}]", "an entry without code"),
        ("baseline: [{code: CR810, file: a, reason: b}]", "'CR810' is nothing to accept"),
        ("baseline: [{code: CR801, file: a, reason: '  '}]", "the reason is empty"),
        ("baseline: [{code: CR801, file: a, reason: b, until: 2027-02-30}]", "'2027-02-30' is no date"),
        ("baseline: [{code: CR801, file: a, reason: b, until: tomorrow}]", "'tomorrow' is no date"),
        ("baseline: [{code: CR801, file: a, reason: b, count: 0}]", "a count must be a number from 1"),
        ("[", "CR106"),
    ],
)
def test_a_baseline_that_is_wrong_hides_nothing(net, text, words):
    (net / "baseline.yaml").write_text(text + "\n")
    done = check(net)
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.parametrize(
    ("args", "env", "words"),
    [
        (("--today", "2026-13-01"), {}, "'2026-13-01' is no date"),
        (("--until", "soon"), {}, "'soon' is no date"),
        ((), {"SOURCE_DATE_EPOCH": "now"}, "SOURCE_DATE_EPOCH is 'now', no number of seconds"),
        ((), {"SOURCE_DATE_EPOCH": "9" * 30}, "no number of seconds"),
        (("--baseline", "none.yaml"), {}, "none.yaml: CR708"),
        (("--write-baseline", "--reason", " "), {}, "--write-baseline needs --reason"),
    ],
)
def test_dates_and_files_that_are_none(net, args, env, words):
    done = check(net, *args, env=env)
    assert done.returncode == 2
    assert words in done.stderr


ENTRIES = st.builds(
    Entry,
    st.sampled_from(["CR801", "CR404"]),
    st.text(min_size=1, max_size=8),
    st.text(max_size=8).map(str.strip),
    st.text(min_size=1, max_size=8).filter(str.strip),
    st.none() | st.dates(date(2000, 1, 1)),
    st.integers(1, 9),
    st.none(),
    st.booleans(),
)


@given(st.lists(ENTRIES, max_size=4))
def test_what_is_rendered_reads_back(entries):
    try:
        back = parse_baseline("b.yaml", baseline_text(entries).encode("utf-8", "surrogatepass"))
    except CompileError as e:
        # A character that YAML forbids even in quotes: refused, not changed.
        assert {d.code for d in e.diagnostics} <= {"CR101", "CR104", "CR105", "CR106"}  # noqa: PT017
        return
    key = lambda e: (e.file, e.code, e.text)  # noqa: E731
    assert [(e.key, e.whole, e.reason, e.until, e.count) for e in back] == [
        (e.key, e.whole, e.reason, e.until, e.count) for e in sorted(entries, key=key)
    ]


@given(
    st.lists(st.tuples(st.sampled_from(["CR801", "CR810", "CR404"]), st.integers(1, 5), st.sampled_from(["a", "b"])))
)
def test_what_was_recorded_is_accepted_and_nothing_else(found):
    diagnostics = [warning(c, "m", Span("net.d/p.yaml", n, 1, 2, t)) for c, n, t in found]
    entries = recorded(diagnostics, (), "net.d", "why", None)
    left = accept(diagnostics, entries, "net.d", date(2026, 1, 1))
    assert [d.code for d in left] == [d.code for d in diagnostics if d.code == "CR810"]
    assert {fingerprint(d, "net.d")[1] for d in diagnostics} <= {"p.yaml"}
    more = [*diagnostics, warning("CR801", "m", Span("net.d/p.yaml", 9, 1, 2, "c"))]
    assert len(accept(more, entries, "net.d", date(2026, 1, 1))) == len(left) + 1
