"""A profile that a build without forms published, and files of the same policy whose list Calico takes merged alone."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

PUBLISHED = (Path(__file__).parent / "golden" / "older-form" / "published.yaml").read_text()
"""What the build of bb3c236 compiled of two Allow rules where LINES has a line for each of their addresses."""

_ALLOW = "  - {{action: Allow, protocol: TCP, source: {{nets: [{}]}}, destination: {{ports: [80]}}}}\n"
BY_HAND = """network: web
ingress:
  - {action: Log, protocol: TCP, destination: {ports: [22]}}
  - {action: Allow, protocol: TCP, source: {nets: [192.0.2.0/29]}, destination: {ports: [80]}}
  - {action: Allow, protocol: TCP, source: {nets: [10.0.0.0/22]}, destination: {ports: [80]}}
  - {action: Deny, protocol: TCP, source: {nets: [10.0.0.0/8]}, destination: {ports: ["1:1023"]}}
  - default
"""
"""What PUBLISHED was compiled of."""
LINES = (
    "network: web\ningress:\n  - {action: Log, protocol: TCP, destination: {ports: [22]}}\n"
    + "".join(
        _ALLOW.format(net) for two in ("192.0.2.0/29", "10.0.0.0/22") for net in ip_network(two).subnets(new_prefix=32)
    )
    + '  - {action: Deny, protocol: TCP, source: {nets: [10.0.0.0/8]}, destination: {ports: ["1:1023"]}}\n  - default\n'
)
