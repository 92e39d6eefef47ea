"""Bytes in, nodes with their places and typed fields out: JSON and YAML, read strictly."""
