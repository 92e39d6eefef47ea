"""The packages that dist/calico bundles in; its bill of materials, CycloneDX as JSON, out."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import Distribution, requires
from uuid import UUID

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

_SPDX = {
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: MIT License": "MIT",
}
"""What packages that have no SPDX expression say of themselves; their texts were looked at."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_LIBC, _GCC = "LGPL-2.1-or-later", "GPL-3.0-or-later WITH GCC-exception-3.1"


def materials(version: str, bundled: Iterable[Distribution]) -> bytes:
    """A component for each: Python packages, libyaml, what the launcher is linked with. The same for the same input."""
    top = _component("calico-rkt", version, "Apache-2.0", ComponentType.APPLICATION)
    parts = {one.name.lower(): _python(one) for one in bundled}
    bom = Bom(components=[*parts.values()])
    bom.metadata.component = top
    for name, part in parts.items():
        always = (r for r in requires(name) or () if "extra ==" not in r)
        needed = {_NAME.match(r)[0].lower() for r in always}
        bom.register_dependency(part, [parts[n] for n in sorted(needed & parts.keys())])
    linked = [*_libyaml(), *_launcher()]
    for part in linked:
        bom.components.add(part)
    bom.register_dependency(top, [*parts.values(), *linked])
    return _fixed(bom)


def _fixed(bom: Bom) -> bytes:
    """Without a clock; the serial number stands for all that is said."""
    bom.serial_number = UUID(int=0)
    bom.metadata.timestamp = None
    digest = hashlib.sha256(JsonV1Dot6(bom).output_as_string().encode()).digest()
    bom.serial_number = UUID(bytes=digest[:16], version=4)
    return (JsonV1Dot6(bom).output_as_string(indent=2) + "\n").encode()


def _component(
    name: str,
    version: str | None,
    licence: str,
    kind: ComponentType = ComponentType.LIBRARY,
    purl: PackageURL | None = None,
) -> Component:
    return Component(
        name=name,
        version=version,
        type=kind,
        bom_ref=purl.to_string() if purl else name,
        purl=purl,
        licenses=[LicenseFactory().make_from_string(licence)],
    )


def _python(one: Distribution) -> Component:
    told = one.metadata["License-Expression"]
    said = (_SPDX[c] for c in one.metadata.get_all("Classifier") or () if c in _SPDX)
    licence = told or next(said, None) or one.metadata["License"]  # an expression, where there is no classifier for it
    purl = PackageURL("pypi", None, one.name.lower(), one.version)
    return _component(one.name.lower(), one.version, licence, purl=purl)


def _libyaml() -> list[Component]:
    """What PyYAML's parser in C is linked with; nothing where there is none."""
    try:
        from yaml._yaml import get_version_string
    except ImportError:
        return []
    version = get_version_string()
    return [_component("libyaml", version, "MIT", purl=PackageURL("generic", None, "libyaml", version))]


def _launcher() -> list[Component]:
    """The C library and the compiler's own part, as Debian calls them; without a version where dpkg knows none."""
    dumped = subprocess.run([os.environ.get("CC", "gcc"), "-dumpversion"], capture_output=True, text=True, check=True)
    major = dumped.stdout.strip().partition(".")[0]
    found = []
    for package, licence in (("libc6-dev", _LIBC), (f"libgcc-{major}-dev", _GCC)):
        query = ["dpkg-query", "-W", "-f", "${source:Package} ${source:Version}", package]
        try:
            done = subprocess.run(query, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            continue
        if done.returncode == 0:
            source, _, version = done.stdout.partition(" ")
            purl = PackageURL("deb", "debian", source, version, {"arch": "source"})
            found.append(_component(source, version, licence, purl=purl))
    return found or [_component("glibc", None, _LIBC)]
