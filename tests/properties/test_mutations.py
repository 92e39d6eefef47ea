"""A file that was good and is damaged compiles, or says where the damage is: nothing else comes out of the compiler."""

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from calico_rkt.compiler.cli.formats.findings import FORMATS, render_as
from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.compiler.conf.parse import parse_conf
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.grammar.overrides import parse_file
from calico_rkt.compiler.pipeline import compile_for_host
from calico_rkt.compiler.review.check import check_workspace
from calico_rkt.compiler.workspace.assemble import Listing, assemble

ROOT = Path(__file__).parents[2]
EXAMPLES = [d for d in (ROOT / "docs" / "examples", ROOT / "tests" / "golden") if d.is_dir()]


def files(pattern):
    return sorted(p.read_bytes() for d in EXAMPLES for p in d.rglob(pattern))


PROFILES, CONFS = files("profiles/*.yaml"), files("*.conf*")
TOKENS = re.compile(rb"[A-Za-z0-9_./:-]+|\s+|.", re.DOTALL)
NASTY = [
    *(b"null", b"~", b"[]", b"{}", b"[", b"}", b"'", b'"', b"|", b">", b"- ", b"? ", b": ", b"\n", b"\t", b"\r", b"#"),
    *(
        b"&a ",
        b"*a",
        b"!!str ",
        b"<<: ",
        b"---\n",
        b"...\n",
        b"%YAML 3.0\n",
        b"\xff",
        b"\xc3",
        b"\x00",
        b"\xef\xbb\xbf",
    ),
    *("\u202e".encode(), "\u0663".encode(), "\U0001f600".encode(), b"\\ud800", b"((((", b"default\n  - default"),
]
VALUES = [
    *(b"-1", b"0", b"1e400", b"NaN", b"70000", b"9" * 400, b"80:20", b"10.0.0.0/33", b"10.1.2.3/16", b"0.0.0.0/0"),
    *(b"::/0", b"::1", b"true", b"default", b"self", b"all()", b"a" * 300, b"[]", b"{}", b"null", b"[[]]", b"{a: b}"),
]
WORDS = sorted({t for f in (*PROFILES, *CONFS) for t in TOKENS.findall(f) if t[:1].isalnum()})
WEB = NetConf("web", "calico", "1.0.0", Ipam("host-local"))


@st.composite
def exchanged(draw, originals):
    """One of the files with a few words exchanged for others: mostly still YAML or JSON."""
    parts = TOKENS.findall(draw(st.sampled_from(originals)))
    places = [i for i, t in enumerate(parts) if t[:1].isalnum()]
    for _ in range(draw(st.integers(1, 3))):
        parts[draw(st.sampled_from(places))] = draw(st.sampled_from(WORDS + VALUES))
    return b"".join(parts)


@st.composite
def torn(draw, originals):
    """One of the files with a few tokens or bytes taken out, put in, doubled or turned round."""
    parts = TOKENS.findall(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, max(0, len(parts) - 1)))
        to = min(len(parts), at + draw(st.integers(1, 6)))
        put = draw(st.sampled_from(WORDS + VALUES + NASTY) | st.binary(min_size=1, max_size=3))
        kept = parts[at:to]
        parts[at:to] = draw(st.sampled_from([[], [put], [put, *kept], kept * 2, kept[::-1]]))
    return b"".join(parts)


def damaged(originals):
    return exchanged(originals) | torn(originals)


def assert_inside(diagnostics, texts):
    """Every place is a place of one of the files, and every format can show it."""
    for d in diagnostics:
        if d.span is None:
            continue
        lines = texts[d.span.path].decode("utf-8", "backslashreplace").split("\n")
        assert 1 <= d.span.line <= len(lines), d
        assert d.span.text == lines[d.span.line - 1].removesuffix("\r"), d
        assert 1 <= d.span.column < d.span.end_column, d
        assert d.span.column <= len(d.span.text) + 1, d
    for style in FORMATS:
        render_as(style, diagnostics, colour=False)


def said(compile_one):
    """Whether it compiled, and all that was said; what is refused is refused for an error."""
    try:
        found = compile_one()
    except CompileError as e:
        return False, e.diagnostics
    return True, found


@settings(max_examples=400)
@given(damaged(PROFILES))
def test_a_damaged_override_compiles_or_says_where_it_is_wrong(data):
    texts = {"profiles/web.yaml": data}
    file = parse_file("profiles/web.yaml", data)
    assert_inside(file.diagnostics, texts)
    compiled, found = said(lambda: compile_for_host(WEB, texts).diagnostics)
    assert_inside(found, texts)
    assert compiled is not any(d.is_error for d in found)
    if compiled and file.owner in {None, "web"}:
        assert not any(d.is_error for d in file.diagnostics)


@settings(max_examples=400)
@given(damaged(CONFS), st.booleans())
def test_a_damaged_conf_is_read_or_says_where_it_is_wrong(data, preview):
    read, found = said(lambda: parse_conf(data, "web.conf", preview=preview)[1])
    assert_inside(found, {"web.conf": data})
    assert read is not any(d.is_error for d in found)


@settings(max_examples=150)
@given(damaged(CONFS), damaged(PROFILES), damaged(PROFILES))
def test_a_damaged_workspace_is_checked_or_says_where_it_is_wrong(conf, one, two):
    confs = {"web.conf": b'{"name": "web", "type": "calico", "ipam": {"type": "dhcp"}}', "x.conf": conf}
    profiles = {"profiles/a.yaml": one, "profiles/b.yaml": two}
    found = check_workspace(assemble("here", Listing(confs, profiles)))
    assert_inside(found, {**confs, **profiles})
