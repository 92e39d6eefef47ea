"""Bytes in, nodes with their places and typed fields out: JSON and YAML, read strictly.

The doors are json_nodes.py and yaml_nodes.py, then fields.py; nodes.py has the values.
"""
