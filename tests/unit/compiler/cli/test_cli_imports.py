"""What compile-profile imports: start-up is most of its time, so it imports what its conf needs and no more."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
CONF = '{"name": "web", "type": "calico", "ipam": {"type": "host-local", "subnet": "10.1.0.0/16"}}'
PLAIN = {
    *("calico_rkt", "calico_rkt.templates", "calico_rkt.profiles", "calico_rkt.compiler"),
    *(f"calico_rkt.compiler.{m}" for m in ("diagnostics", "digest", "pipeline", "typed", "values")),
    *(
        f"calico_rkt.compiler.cli{m}"
        for m in ("", ".naming", ".parser", ".process", ".compile", ".formats", ".formats.findings")
    ),
    *(f"calico_rkt.compiler.conf{m}" for m in ("", ".netconf", ".parse", ".ipam", ".section", ".shape")),
    *(f"calico_rkt.compiler.text{m}" for m in ("", ".nodes", ".json_nodes", ".yaml_nodes", ".yaml_python")),
    *(f"calico_rkt.compiler.{m}" for m in ("text.fields", "text.values")),
    *(f"calico_rkt.compiler.ir{m}" for m in ("", ".model", ".ids", ".selector", ".canonical", ".resolved")),
    "calico_rkt.compiler.ir.selector_parser",
    *(f"calico_rkt.compiler.grammar{m}" for m in ("", ".defaults", ".headers", ".rules", ".sides")),
    *(f"calico_rkt.compiler.passes{m}" for m in ("", ".lower", ".families", ".merge", ".resolve")),
    *(f"calico_rkt.compiler.workspace{m}" for m in ("", ".confs", ".files", ".host", ".overrides")),
    *(f"calico_rkt.compiler.workspace{m}" for m in (".place", ".policy", ".single", ".standing", ".unread")),
    *(f"calico_rkt.compiler.targets{m}" for m in ("", ".calico_v3")),
    *(f"calico_rkt.compiler.targets.calico_v3.{m}" for m in ("form", "parts", "read", "write")),
    *(
        f"calico_rkt.compiler.targets{m}"
        for m in (".built_templates", ".limits", ".printing", ".readback", ".yaml_values")
    ),
}
WITH_AN_OVERRIDE = {f"calico_rkt.compiler.grammar.{m}" for m in ("overrides", "expectations")}
NEEDLESS = {"asyncio", "difflib", "logging", "netaddr", "socket", "sqlite3", "subprocess", "xml", "zipfile"}


def imported(conf):
    """The modules that a process has in the end that compiled this conf."""
    program = (
        "import sys\n"
        "from calico_rkt.compiler.cli import compile_profile\n"
        "status = compile_profile()\n"
        "print(*sys.modules, file=sys.stderr)\n"
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", program, conf], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_a_plain_conf_needs_no_module_that_is_not_listed(tmp_path):
    conf = tmp_path / "web.conf"
    conf.write_text(CONF)
    found = imported(conf)
    assert {m for m in found if m.partition(".")[0] == "calico_rkt"} == PLAIN
    assert not found & NEEDLESS


def test_an_override_with_tests_needs_what_reads_it_and_no_more():
    found = imported(ROOT / "docs" / "examples" / "two-networks" / "web.conf")
    assert {m for m in found if m.partition(".")[0] == "calico_rkt"} == PLAIN | WITH_AN_OVERRIDE
    assert not found & NEEDLESS


def test_a_check_asks_what_targets_refuse_and_makes_no_text():
    program = (
        "import sys\n"
        "from calico_rkt.compiler.cli.commands import review\n"
        "status = review('check', ['-C', sys.argv[1]])\n"
        "assert 'calico_rkt.compiler.targets.nftables.write' in sys.modules\n"
        "assert 'jinja2' not in sys.modules\n"
        "sys.exit(status)"
    )
    folder = ROOT / "docs" / "examples" / "two-networks"
    subprocess.run([sys.executable, "-c", program, folder], stdout=subprocess.DEVNULL, check=True)


def test_what_reads_back_otherwise_is_compared_by_meaning():
    program = (
        "import sys\n"
        "from calico_rkt.compiler.ir.model import Network\n"
        "from calico_rkt.compiler.targets import TARGETS\n"
        "target = TARGETS['calico-v3']\n"
        "text = target.write(Network('web', 'web'))\n"
        "assert target.differs(Network('web', 'web'), text) is None\n"
        "assert 'calico_rkt.compiler.targets.proof' not in sys.modules\n"
        "assert 'digest' in target.differs(Network('web', 'web'), text.replace('sha256:', 'sha256:0'))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
