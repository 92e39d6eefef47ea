"""A file that was good and is damaged compiles, or says where the damage is: nothing else comes out of the compiler."""

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
from tests.properties.inputs.damage import CONFS, PROFILES, damaged

WEB = NetConf("web", "calico", "1.0.0", Ipam("host-local"))


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
