"""Each format on diagnostics that try to break out of it: read back the way its readers do."""

import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

import jsonschema
import pytest
from markdown_it import MarkdownIt

from calico_rkt import __version__
from calico_rkt.compiler.cli.formats.findings import FORMATS, markdown_code, markdown_text, render_as
from calico_rkt.compiler.diagnostics import Diagnostic, Severity, Span, error, printable, warning

PATH = "net.d/profiles/a b,c:d%e#é🙂.yaml"
LINE = "  - {action: Allow}  # |`<b>"
EVIL = "x|y\\|z `a` ``<img src=x> [l](http://e) ![i](u) *b* _i_ ~s~ &amp; {0} % :: @me\r\nnext\x1b[31m\u202e\t$m$"
TRICKY = (
    warning("CR801", f"no use: {EVIL}", Span(PATH, 7, 5, 22, LINE), hint=f"way out: {EVIL}"),
    error("CR301", "unknown", Span("b.yaml", 2, 1, 1, "")),
    error("CR701", "can't be read", path="/etc/no such\nfolder"),
    Diagnostic("CR805", Severity.NOTE, "gave up"),
)
GOLDEN = {
    "markdown": """\
| | where | what |
| --- | --- | --- |
| note CR805 |  | gave up |
| warning CR712 | `a.conf` | overlap<br>_own subnets_ |
| warning CR804 | `a.yaml:3:5` | all come in |
""",
    "github": """\
::notice title=calico-rkt CR805::gave up
::warning file=a.conf,title=calico-rkt CR712::overlap%0Aown subnets
::warning file=a.yaml,line=3,col=5,endColumn=22,title=calico-rkt CR804::all come in
""",
    "text": """\
CR805 note: gave up
a.conf: CR712 warning: overlap
  = own subnets
a.yaml:3:5: CR804 warning: all come in
    3 |   - {action: Allow}  # |`<b>
      |     ^^^^^^^^^^^^^^^^^
""",
}
PLAIN = (
    warning("CR804", "all come in", Span("a.yaml", 3, 5, 22, LINE)),
    warning("CR712", "overlap", path="a.conf", hint="own subnets"),
    Diagnostic("CR805", Severity.NOTE, "gave up"),
)


def sarif(diagnostics):
    return json.loads(render_as("sarif", diagnostics, colour=False))


def results(diagnostics):
    return sarif(diagnostics)["runs"][0]["results"]


@pytest.mark.parametrize("style", GOLDEN)
def test_golden(style):
    assert render_as(style, PLAIN, colour=False) == GOLDEN[style]


@pytest.mark.parametrize("style", FORMATS)
def test_order_and_repetition_of_what_was_found_change_nothing(style):
    text = render_as(style, TRICKY, colour=False)
    assert render_as(style, [*reversed(TRICKY), *TRICKY], colour=False) == text


@pytest.mark.parametrize("style", FORMATS)
@pytest.mark.parametrize("path", ["a\udcff.yaml", "a\x1b]0;b\x07.yaml", "a\nb.yaml", ""])
def test_no_file_can_write_to_the_terminal(style, path):
    for d in (warning("CR801", EVIL, Span(path, 1, 1, 2, EVIL), hint=EVIL), warning("CR801", EVIL, path=path)):
        text = render_as(style, [d], colour=False)
        assert all(c.isprintable() or c == "\n" for c in text), ascii(text)


# ---- SARIF 2.1.0: what OASIS' text demands of the parts that are written here. {"additionalProperties": False}
# everywhere: whatever is not stated here is not written.
def closed(required, **properties):
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


TEXT = {"type": "string", "minLength": 1}
MESSAGE = closed("text", text=TEXT)  # 3.11.8, 3.12.3: not empty
SCHEMA = closed(
    "version runs $schema",
    **{"$schema": {"const": "https://json.schemastore.org/sarif-2.1.0.json"}},  # 3.13.3
    version={"const": "2.1.0"},  # 3.13.2
    runs={  # 3.13.4
        "type": "array",
        "minItems": 1,
        "maxItems": 1,
        "items": closed(
            "tool invocations columnKind results",
            tool=closed(  # 3.14.6, 3.18.2
                "driver",
                driver=closed(
                    "name version semanticVersion rules",  # 3.19.8
                    name=TEXT,
                    version=TEXT,
                    semanticVersion={"pattern": r"\A\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?\Z"},  # 3.19.12
                    rules={  # 3.19.23, 3.49.3: ids, each once
                        "type": "array",
                        "uniqueItems": True,
                        "items": closed("id", id={"pattern": r"\ACR\d{3}\Z"}, shortDescription=MESSAGE),
                    },
                ),
            ),
            invocations={  # 3.20.14: executionSuccessful is a must
                "type": "array",
                "minItems": 1,
                "maxItems": 1,
                "items": closed("executionSuccessful", executionSuccessful={"type": "boolean"}),
            },
            columnKind={"const": "unicodeCodePoints"},  # 3.14.17
            results={  # 3.14.23
                "type": "array",
                "items": closed(
                    "ruleId ruleIndex level message partialFingerprints",
                    ruleId=TEXT,  # 3.27.5
                    ruleIndex={"type": "integer", "minimum": 0},  # 3.27.6
                    level={"enum": ["error", "warning", "note"]},  # 3.27.10
                    message=MESSAGE,  # 3.27.11
                    partialFingerprints={  # 3.27.17: hierarchical names, their version last
                        "type": "object",
                        "minProperties": 1,
                        "patternProperties": {r"\A[A-Za-z]+/v\d+\Z": TEXT},
                        "additionalProperties": False,
                    },
                    locations={
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1,
                        "items": closed(
                            "physicalLocation",
                            physicalLocation=closed(
                                "artifactLocation",  # 3.29.3
                                artifactLocation=closed(
                                    # RFC 3986: a path without a scheme, or a file URI; every other octet as %XX
                                    "uri",
                                    uri={"pattern": r"\A(file:///)?([A-Za-z0-9._~/-]|%[0-9A-F]{2})+\Z"},
                                ),
                                region=closed(
                                    "startLine startColumn endColumn",
                                    startLine={"type": "integer", "minimum": 1},  # 3.30.5
                                    startColumn={"type": "integer", "minimum": 1},  # 3.30.6
                                    endColumn={"type": "integer", "minimum": 2},  # 3.30.8: behind the last
                                ),
                            ),
                        ),
                    },
                ),
            },
        ),
    },
)


@pytest.mark.parametrize("given", [(), PLAIN, TRICKY, [error("CR708", "x", path="\udcff/\x01")]])
def test_sarif_is_what_its_standard_says(given):
    document = sarif(given)
    jsonschema.validate(document, SCHEMA)
    (run,) = document["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["version"] == __version__
    assert {r["ruleId"] for r in run["results"]} == {r["id"] for r in rules} == {d.code for d in given}
    assert all(rules[r["ruleIndex"]]["id"] == r["ruleId"] for r in run["results"])


def test_a_sarif_message_holds_no_placeholder_and_no_link():
    for text in (r["message"]["text"] for r in results(TRICKY)):
        assert not re.search(r"(?<!\{)\{\d+\}(?!\})", text)  # 3.11.5
        assert not re.search(r"\[[^\]]*\]\(", text)  # 3.11.6
    (result,) = results([warning("CR801", "{a}", hint="[b](c)\nd")])
    assert result["message"]["text"] == "{{a}}\n[b] (c)\\nd"


def test_sarif_s_paths_lead_to_the_files():
    given = {PATH: None, "a\udcff.yaml": b"a\xff.yaml", "/a b": b"file:///a b", "a:b/c": None, "../x": None}
    for path, octets in given.items():
        (result,) = results([warning("CR801", "x", path=path)])
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert unquote_to_bytes(uri) == (octets or path.encode())
        assert ":" not in uri.removeprefix("file:")


def test_a_fingerprint_stays_when_lines_move_and_tells_equal_lines_apart():
    def prints(*diagnostics):
        return [next(iter(r["partialFingerprints"].values())) for r in results(diagnostics)]

    here = warning("CR801", "by a.yaml:2", Span("a.yaml", 3, 5, 9, "  - {a: b}"))
    moved = warning("CR801", "by a.yaml:9", Span("a.yaml", 10, 7, 11, "    - {a: b}"))
    assert prints(here) == prints(moved)
    assert len(set(prints(here, moved))) == 2
    assert prints(here, moved)[0] == prints(here)[0]
    assert prints(here) != prints(warning("CR801", "x", Span("a.yaml", 3, 5, 9, "  - {a: c}")))
    assert prints(here) != prints(warning("CR802", "x", Span("a.yaml", 3, 5, 9, "  - {a: b}")))


def test_sarif_says_whether_the_input_could_be_read_at_all():
    def successful(*diagnostics):
        return sarif(diagnostics)["runs"][0]["invocations"][0]["executionSuccessful"]

    assert successful()
    assert successful(*PLAIN, error("CR810", "a test"), error("CR813", "outside"), error("CR814", "undecided"))
    assert not successful(*PLAIN, error("CR701", "no folder"))


# ---- markdown, read back by a CommonMark parser with tables and HTML on
class Cells(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.tags, self.rows = set(), []
        self.feed(html)

    def handle_starttag(self, tag, _attrs):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip("\n")


def read(markdown):
    return Cells(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown))


def one_line(text):
    return printable(" ".join(text.split()))


def test_markdown_shows_every_text_as_it_is_in_its_own_cell():
    page = read(render_as("markdown", TRICKY, colour=False))
    assert page.tags <= {"table", "thead", "tbody", "tr", "th", "td", "code", "em", "br"}
    assert page.rows[0] == ["", "where", "what"]
    shown = one_line(EVIL)
    assert sorted(page.rows[1:]) == sorted(
        [
            ["warning CR801", f"{one_line(PATH)}:7:5", f"no use: {shown}way out: {shown}"],
            ["error CR301", "b.yaml:2:1", "unknown"],
            ["error CR701", "/etc/no such folder", "can't be read"],
            ["note CR805", "", "gave up"],
        ]
    )


@pytest.mark.parametrize("escape", [markdown_text, markdown_code])
@pytest.mark.parametrize(
    "text",
    [EVIL, "`", "``a", "a`", "|", "\\", "a\\", "a\\\\|b", "`|`", "<!--", "-->", "</td>", "&#124;", "1. a", "# a"],
)
def test_any_text_survives_in_a_table_and_outside_of_one(escape, text):
    table = read(f"| a | b |\n| --- | --- |\n| {escape(text)} | last |\n")
    assert table.rows[1:] == [[one_line(text), "last"]]
    assert not table.tags & {"img", "a", "b", "strong", "em", "s"}
    outside = Cells("<tr><td>" + MarkdownIt("commonmark").render(f"x {escape(text)} y"))
    assert outside.rows == [[f"x {one_line(text)} y"]]


# ---- GitHub's workflow commands, read back as its runner does (ActionCommand.TryParseV2)
def commands(text):
    for line in text.splitlines():
        name, properties, data = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line).groups()
        found = dict(p.split("=", 1) for p in properties.split(","))
        yield name, {k: unescape(v, ":,\r\n%") for k, v in found.items()}, unescape(data, "\r\n%")


def unescape(text, characters):
    for c in characters:  # the percent sign last
        text = text.replace(f"%{ord(c):02X}", c)
    return text


def test_github_reads_back_what_was_meant():
    found = {p["title"]: (name, p, data) for name, p, data in commands(render_as("github", TRICKY, colour=False))}
    name, properties, data = found["calico-rkt CR801"]
    assert name == "warning"
    assert properties == {"file": PATH, "line": "7", "col": "5", "endColumn": "22", "title": "calico-rkt CR801"}
    assert data == f"no use: {printable(EVIL)}\nway out: {printable(EVIL)}"
    assert found["calico-rkt CR701"][1]["file"] == "/etc/no such\\nfolder"
    assert found["calico-rkt CR805"] == ("notice", {"title": "calico-rkt CR805"}, "gave up")
