"""Jinja2 templates, one folder a target: loops and printing only, no decisions."""
