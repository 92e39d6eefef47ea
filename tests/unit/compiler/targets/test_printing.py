import subprocess
import sys
import zipfile
from pathlib import Path

import jinja2
import pytest

import calico_rkt
from calico_rkt import templates
from calico_rkt.compiler.targets import TARGETS, printing
from calico_rkt.compiler.targets.built_templates import SUFFIX, code_of

ROOT = Path(calico_rkt.__file__).parent


def test_templates_are_found_in_a_zip_application(tmp_path):
    archive = tmp_path / "app.zip"
    with zipfile.ZipFile(archive, "w") as z:
        for path in sorted(p for folder in ("compiler", "templates") for p in (ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".j2"):
                z.write(path, f"calico_rkt/{path.relative_to(ROOT)}")
        z.write(ROOT / "__init__.py", "calico_rkt/__init__.py")
    program = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "from calico_rkt.compiler.ir.model import Network\n"
        "from calico_rkt.compiler.targets import TARGETS, __file__ as where\n"
        "assert '.zip' in where, where\n"
        "print(*(t.write(Network('web', 'web')) for t in TARGETS.values()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "kind: Profile" in done.stdout
    assert "chain in-web" in done.stdout


def test_reading_back_does_not_cost_the_import_of_jinja2():
    program = "import sys, calico_rkt.compiler.targets as t; assert 'jinja2' not in sys.modules; print(*t.TARGETS)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*TARGETS]


def test_a_value_that_a_template_misses_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        printing.render_template("calico_v3/profile.yaml.j2", id="web")


NAMES = sorted(str(path.relative_to(ROOT / "templates")) for path in (ROOT / "templates").rglob("*.j2"))


def code(environment, name):
    return environment.get_template(name).root_render_func.__code__


def built(monkeypatch, code_beside):
    """An environment that finds this beside each template, as if the build had put it there."""
    found = {name + SUFFIX: code_beside(name) for name in NAMES}
    real = templates.data
    monkeypatch.setattr(templates, "data", lambda name: found[name] if name in found else real(name))
    return printing.environment.__wrapped__()


@pytest.mark.parametrize("name", NAMES)
def test_the_code_that_the_build_makes_is_taken_and_is_the_template_s(monkeypatch, name):
    environment = built(monkeypatch, lambda name: code_of(printing.environment(), name))
    monkeypatch.setattr(environment, "compile", lambda *_: pytest.fail("it is compiled anew"))
    assert code(environment, name) == code(printing.environment(), name)


@pytest.mark.parametrize(
    "change",
    [lambda c: c[:-20], lambda c: b"j3" + c[2:], lambda _: code_of(printing.environment(), NAMES[1])],
    ids=["cut short", "of another Jinja2", "of another text"],
)
def test_code_of_anything_else_is_not_taken(monkeypatch, change):
    environment = built(monkeypatch, lambda name: change(code_of(printing.environment(), name)))
    assert code(environment, NAMES[0]) == code(printing.environment(), NAMES[0])
