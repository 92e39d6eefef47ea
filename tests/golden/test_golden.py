"""Every folder below is a case: its net.conf and profiles/ compile to exactly the files that stand beside them.

On a mismatch the new text is written as NAME.actual: read the difference, then move it over NAME.
"""

from pathlib import Path

import pytest

from calico_rkt import __version__
from calico_rkt.compiler.cli import compile_profile
from calico_rkt.compiler.targets import TARGETS

HERE = Path(__file__).parent
CASES = sorted(p.parent for p in HERE.rglob("net.conf*") if not p.name.endswith(".actual"))
FILES = {"calico-v3": "profile.yaml", "calico-v1": "v1.json", "nftables": "rules.nft"}
INPUTS = ("net.conf", "net.conflist")


def name_of(case: Path) -> str:
    return str(case.relative_to(HERE))


def compile_case(case: Path, capfd: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What the command prints for a case, by the name of the file that should hold it.

    profile.yaml, rules.nft, v1.json: a target's text; the same name with .refused: why the target can't say it.
    diagnostics.txt: what the default target says on stderr; explain.txt: what --explain prints.
    """
    (conf,) = (n for n in INPUTS if (case / n).exists())
    args = [conf, *(["--profiles", "profiles"] if (case / "profiles").is_dir() else [])]
    out: dict[str, str] = {}
    for target, name in FILES.items():
        status = compile_profile([*args, "--target", target])
        printed = capfd.readouterr()
        if target == "calico-v3" and printed.err:
            out["diagnostics.txt"] = printed.err
        if status == 0:
            out[name] = printed.out.replace(f'"{__version__}"', '"VERSION"')
        elif target == "calico-v3":
            assert printed.out == ""
            return out
        else:
            out[f"{name}.refused"] = printed.err
    assert compile_profile([*args, "--explain"]) == 0
    out["explain.txt"] = capfd.readouterr().out
    return out


def expected_of(case: Path) -> dict[str, str]:
    names = [*FILES.values(), *(f"{n}.refused" for n in FILES.values()), "diagnostics.txt", "explain.txt"]
    return {n: (case / n).read_text(encoding="utf-8") for n in names if (case / n).exists()}


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_case_compiles_to_its_golden_files(case, capfd, monkeypatch):
    monkeypatch.chdir(case)
    for variable in ("ETCD_AUTHORITY", "ETCD_ENDPOINTS"):
        monkeypatch.delenv(variable, raising=False)
    actual, expected = compile_case(case, capfd), expected_of(case)
    for name, text in actual.items():
        if expected.get(name) != text:
            (case / f"{name}.actual").write_text(text, encoding="utf-8")
    assert actual == expected, f"see {name_of(case)}/*.actual"


def test_every_target_has_its_golden_file():
    assert set(FILES) == set(TARGETS)


def test_bad_cases_are_named_by_the_code_they_show():
    for case in CASES:
        if case.parent.name == "bad":
            code = case.name.split("-")[0]
            assert f" {code} " in f" {(case / 'diagnostics.txt').read_text(encoding='utf-8')}", case.name
