"""The repository's own files in; the same with words exchanged, taken out, put in, doubled or turned round, out."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import strategies as st

ROOT = Path(__file__).parents[3]
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
