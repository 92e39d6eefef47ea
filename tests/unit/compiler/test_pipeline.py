from dataclasses import replace
from types import MappingProxyType

import pytest

from calico_rkt.compiler import pipeline
from calico_rkt.compiler.conf.netconf import Ipam, NetConf
from calico_rkt.compiler.diagnostics import CompileError
from calico_rkt.compiler.ir.canonical import digest
from calico_rkt.compiler.ir.model import ToHost
from calico_rkt.compiler.pipeline import compile_for_host, digest_for_host
from calico_rkt.compiler.workspace.policy import parse_files
from tests.growth import calls

CONF = NetConf("web", "calico", "1.0.0", Ipam("host-local"))


def codes(conf, **files):
    with pytest.raises(CompileError) as caught:
        compile_for_host(conf, {f"{n}.yaml": t.encode() for n, t in files.items()})
    return {d.code for d in caught.value.diagnostics if d.is_error}


def test_a_host_without_files_gets_the_default():
    compiled = compile_for_host(CONF, {})
    assert compiled.network.endpoint_to_host is ToHost.DROP
    assert compiled.digest == digest(compiled.network)
    assert compiled.digest in compiled.text


def test_files_that_were_parsed_and_the_same_bytes_compile_alike():
    files = {"web.yaml": b"network: web\negress: []\n"}
    assert compile_for_host(CONF, parse_files(files)).text == compile_for_host(CONF, files).text


OTHERS = {
    "rules": "network: db\ningress:\n  - {action: Allow, source: {network: web}}\n",
    "a fault of its own": "network: db\ningress:\n  - {action: Alow}\n",
    "a name that is none": "network: ''\n",
    "no name": "network:\n  - db\n",
    "two names": "network: db\nnetwork: web\n",
    "another's id": "network: WEB\nendpoint_to_host: return\n",
    "a second of this one": "network: web\nendpoint_to_host: return\n",
    "a profile": "apiVersion: projectcalico.org/v3\nkind: Profile\nmetadata: {name: db}\nspec: {}\n",
    "no YAML": "network: {\n",
    "definitions": "definitions: {nets: {office: [192.0.2.0/24]}}\n",
    "settings": "settings: {default: open}\n",
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_of_another_s_override_is_read_whose_it_is_and_no_more_and_all_else_is_the_same(other):
    files = {"web.yaml": b"network: web\negress: []\n", "db.yaml": other.encode()}

    def said(given):
        try:
            found = compile_for_host(CONF, given)
        except CompileError as e:
            return [str(d) for d in e.diagnostics if d.is_error]
        return found.text

    assert said(files) == said(parse_files(files))


def test_many_rules_of_another_network_are_not_read():
    def work(n):
        rules = "  - {action: Allow, protocol: TCP, source: {nets: [10.0.0.0/8]}, destination: {ports: [80]}}\n" * n
        parse_files({"db.yaml": f"network: db\ningress:\n{rules}".encode()}, asked)

    asked = None
    all_of_it = calls(work, 400)
    asked = "web"
    assert calls(work, 400) * 2 < all_of_it


LABELLED = "network: web\ningress:\n  - {action: Allow, source: {selector: Role == 'db'}}\n"
STRANGE = "network: web\ningress:\n  - {action: Allow, source: {network: nobody}}\n"
LONG = "network: web\ningress:\n" + "".join(
    f"  - {{action: Allow, source: {{nets: [10.{n >> 8}.{n & 255}.0/24]}}}}\n" for n in range(1100)
)


@pytest.mark.parametrize("datastore", ["local", "etcdv2", "etcdv3"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "network: web\negress: []\n",
        "network: web\nendpoint_to_host: return\n",
        "network: web\ningress:\n  - {action: Alow}\n",
        LABELLED,
        STRANGE,
        LONG,
    ],
)
def test_the_digest_alone_is_that_of_the_text_and_what_can_not_be_said_is_refused_alike(text, datastore):
    conf = replace(CONF, datastore_type=datastore)
    files = {"web.yaml": text.encode()} if text else {}

    def said(act):
        try:
            return act(conf, files, frozenset({"web"}))
        except CompileError as e:
            return e.diagnostics

    whole, alone = said(compile_for_host), said(digest_for_host)
    assert alone == (whole if isinstance(whole, tuple) else whole.digest)


def test_all_problems_of_files_and_passes_come_at_once():
    web = "network: web\ningress:\n  - {action: Alow}\n  - {action: Allow, source: {nets: [office]}}\n"
    assert codes(CONF, web=web, x="settings: {default: x}\n") == {"CR305", "CR401", "CR337"}


def test_where_this_host_enforces_nftables_must_be_able_to_say_it():
    labelled = b"network: web\ningress:\n  - {action: Allow, source: {selector: Role == 'db'}}\n"
    with pytest.raises(CompileError):
        compile_for_host(CONF, {"web.yaml": labelled})
    cluster = replace(CONF, datastore_type="etcdv3")
    assert "Role ==" in compile_for_host(cluster, {"web.yaml": labelled}).text


def test_felixs_own_setting_is_refused_on_a_cluster():
    assert codes(replace(CONF, datastore_type="etcdv3"), web="network: web\nendpoint_to_host: drop\n") == {"CR407"}


def test_nothing_leaves_the_compiler_that_reads_back_as_something_else(monkeypatch):
    # A writer that forgets a rule, and the real reader.
    honest = pipeline.TARGETS["calico-v3"]
    liar = replace(honest, writer=lambda network, ids: honest.writer(replace(network, egress=()), ids))
    monkeypatch.setattr(pipeline, "TARGETS", MappingProxyType({**pipeline.TARGETS, "calico-v3": liar}))
    assert codes(CONF) == {"CR601"}
