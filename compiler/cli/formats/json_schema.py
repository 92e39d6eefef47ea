"""Nothing in, the JSON Schema of every command's JSON out: `calico-rkt schema answers`."""

from __future__ import annotations

from typing import Any

from calico_rkt.compiler.cli.formats.json_document import VERSION

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer"}
_FLAG: Schema = {"type": "boolean"}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(**properties: Schema) -> Schema:
    """All of the properties are there, and no other."""
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _some(required: Schema, **optional: Schema) -> Schema:
    """An _object with properties that may be left out."""
    return {**required, "properties": {**required["properties"], **optional}}


def _or_null(one: Schema) -> Schema:
    return {"anyOf": [one, {"type": "null"}]}


def _one_of(*words: str) -> Schema:
    return {"enum": [*words]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


_RANGES = _list({"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2})
_LINES = _list(_TEXT)
_LABELS = _or_null({"type": "object", "additionalProperties": _TEXT})
_RULE = _object(stage=_TEXT, rule=_TEXT, line=_or_null(_TEXT))
_END = _some(_object(ip=_TEXT, labels=_LABELS), port=_NUMBER)
_WATCHED = _object(ip=_TEXT, port=_or_null(_NUMBER), endpoint=_or_null(_TEXT))
_VERDICT = _one_of("Allow", "Deny", "host")
_STAGES = _list(_object(stage=_TEXT, rule=_or_null(_TEXT), line=_or_null(_TEXT)))
_DEFS: dict[str, Schema] = {
    "diagnostic": _object(
        code={"type": "string", "pattern": "^CR[0-9]{3}$"},
        severity=_one_of("error", "warning", "note"),
        message=_TEXT,
        hint=_or_null(_TEXT),
        path=_or_null(_TEXT),
        line=_or_null(_NUMBER),
        column=_or_null(_NUMBER),
        end_column=_or_null(_NUMBER),
    ),
    "addresses": _object(nets=_list(_TEXT), not_nets=_list(_TEXT)),
    "flow": _some(
        _object(),
        **dict.fromkeys(("protocols", "ports", "source_ports", "icmp_types", "icmp_codes"), _RANGES),
        **dict.fromkeys(("source", "destination"), _ref("addresses")),
        **dict.fromkeys(("source_selector", "destination_selector"), _TEXT),
    ),
    "packet": _some(
        _object(protocol={"type": ["string", "integer"]}, source=_END, destination=_END),
        icmp=_object(type=_NUMBER, code=_NUMBER),
    ),
    "fate": _object(verdict=_VERDICT, stages=_STAGES),
    "change": _object(
        change=_one_of("allowed", "denied"),
        **{"from": _list(_TEXT)},
        to=_list(_TEXT),
        flow=_ref("flow"),
        words=_TEXT,
        example=_ref("packet"),
        before=_ref("fate"),
        after=_ref("fate"),
        lines=_LINES,
        place=_or_null(_TEXT),
        causes=_list(_object(what=_TEXT, line=_or_null(_TEXT), gone=_FLAG, rules=_LINES)),
        parts=_list(
            _object(**{"from": _TEXT}, to=_TEXT, example=_ref("packet"), before=_ref("fate"), after=_ref("fate"))
        ),
    ),
    "case": _object(
        **{"from": _TEXT},
        to=_TEXT,
        flows=_list(_ref("flow")),
        words=_list(_TEXT),
        example=_ref("packet"),
        verdict=_VERDICT,
        stages=_STAGES,
    ),
    "cell": _object(
        **{"from": _TEXT},
        to=_TEXT,
        reach=_one_of("all", "some", "none", "host", "undecided", "nobody"),
        flows=_list(_ref("flow")),
        words=_TEXT,
        left_to_host=_FLAG,
        left=_list(_ref("flow")),
        rules=_list(_RULE),
        decided=_list(_list(_RULE)),
        undecided=_or_null(_TEXT),
        nobody=_or_null(_TEXT),
    ),
}
_ANSWERS: dict[str, Schema] = {
    "problems": _object(problems=_list(_ref("diagnostic"))),
    "check": _object(findings=_list(_ref("diagnostic"))),
    "test": _some(
        _object(
            tests=_list(
                _object(
                    kind=_one_of("test", "never", "always"),
                    name=_TEXT,
                    line=_TEXT,
                    holds=_FLAG,
                    undecided=_or_null(_TEXT),
                )
            ),
            problems=_list(_ref("diagnostic")),
        ),
        untested=_list(_object(line=_TEXT, rule=_TEXT)),
    ),
    "diff": _some(
        _object(
            old=_TEXT,
            new=_TEXT,
            same_packets=_FLAG,
            changes=_list(_ref("change")),
            networks_added=_list(_TEXT),
            networks_removed=_list(_TEXT),
            addresses_changed=_list(_TEXT),
            confs_changed=_list(_object(network=_TEXT, keys=_list(_TEXT))),
            logging=_list(_object(where=_TEXT, lines=_LINES)),
            undecided=_list(_TEXT),
            files_changed=_list(_TEXT),
        ),
        outside_guardrails=_list(_ref("change")),
    ),
    "explain": _some(_object(cases=_list(_ref("case")), undecided=_list(_TEXT)), notes=_list(_TEXT)),
    "status": _some(
        _object(networks=_list({"type": "object"}), table=_FLAG, blocked=_list(_TEXT), warnings=_list(_TEXT)),
        agent=_or_null({"type": "object"}),
        confs=_list(_object(network=_TEXT, path=_TEXT, read_by=_list(_TEXT))),
        findings=_list(_ref("diagnostic")),
        differences=_list(_TEXT),
    ),
    "attest": _object(
        outcome={"enum": ["equal", "different", "not proven"]},
        digest=_TEXT,
        revision=_or_null(_TEXT),
        networks=_NUMBER,
        endpoints=_NUMBER,
        differences=_list(
            _object(
                **{"from": _or_null(_TEXT)},
                to=_or_null(_TEXT),
                what=_TEXT,
                packet=_or_null(_TEXT),
                packet_values=_or_null(_ref("packet")),
                kind=_TEXT,
                kernel=_TEXT,
                rule=_or_null(_TEXT),
                reviewed=_TEXT,
                line=_or_null(_TEXT),
            )
        ),
        not_proven=_list(_TEXT),
        alike=_list(_TEXT),
        table=_or_null(_TEXT),
    ),
    "attach": _object(
        network=_TEXT, container=_TEXT, ifname=_TEXT, netns=_TEXT, before=_FLAG, result={"type": "object"}
    ),
    "ls": _object(
        endpoints=_list(
            _object(
                network=_TEXT,
                container=_TEXT,
                name=_TEXT,
                ifname=_TEXT,
                addresses=_list(_TEXT),
                mac=_TEXT,
                host_ifname=_TEXT,
                netns=_TEXT,
                datastore=_TEXT,
                state=_TEXT,
                policy=_TEXT,
                since=_TEXT,
            )
        )
    ),
    "trace": _object(
        time={"type": "number"},
        fate=_one_of("dropped", "passed", "lost"),
        reply=_FLAG,
        protocol={"type": ["string", "integer"]},
        source=_WATCHED,
        destination=_WATCHED,
        icmp=_or_null(_object(type=_NUMBER, code=_NUMBER)),
        flags=_or_null(_TEXT),
        sent_to=_or_null(_TEXT),
        left_as=_or_null(_TEXT),
        stages=_list(_object(stage=_TEXT, rule=_TEXT, line=_or_null(_TEXT), note=_or_null(_TEXT))),
        kernel=_or_null(_TEXT),
        look=_or_null(_TEXT),
    ),
    "log": _object(time=_TEXT, process=_NUMBER, level=_TEXT, text=_TEXT),
    "trace_end": _object(
        **{"from": _TEXT},
        to=_TEXT,
        **dict.fromkeys(("dropped", "passed", "lost", "replies", "sent", "skipped"), _NUMBER),
        incomplete=_FLAG,
        words=_list(_TEXT),
    ),
    "doctor": _object(
        findings=_list(
            _object(
                code={"type": "string", "pattern": "^CR[0-9]{3}$"},
                severity=_one_of("error", "warning", "note"),
                message=_TEXT,
                follows=_TEXT,
                cure=_TEXT,
                cure_is_command=_FLAG,
                fixable=_FLAG,
                path=_or_null(_TEXT),
                line=_or_null(_NUMBER),
            )
        ),
        well=_list(_TEXT),
    ),
    "rule": _object(rules=_list(_object(code=_TEXT, severity=_TEXT, text=_TEXT))),
    "matrix": _object(rows=_list(_TEXT), columns=_list(_TEXT), cells=_list(_ref("cell"))),
}
_SOURCE = _object(
    kind={"enum": ["folder", "revision", "host"]},
    confs=_list(_TEXT),
    profiles=_list(_TEXT),
    undecided=_list(_object(path=_TEXT, network=_or_null(_TEXT))),
    reservations=_list(_TEXT),
)
_READ: Schema = {"anyOf": [_SOURCE, _object(old=_SOURCE, new=_SOURCE)]}
"""Which folders decided, and what leaves an answer open; of each side, where there are two."""


def answers() -> Schema:
    """Draft 2020-12; one document is of one command, which its `format` names."""
    documents = {
        name: _some(
            _object(format={"const": f"calico-rkt.{name}"}, version={"const": VERSION}, **body["properties"])
            | {"required": ["format", "version", *body["required"]]},
            read=_READ,
        )
        for name, body in _ANSWERS.items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"calico-rkt: what commands answer with --format json, version {VERSION}",
        "oneOf": [_ref(f"{name}_answer") for name in documents],
        "$defs": {**_DEFS, **{f"{name}_answer": body for name, body in documents.items()}},
    }
