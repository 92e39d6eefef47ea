"""What people write in `profiles/` in, checked values out: rules, overrides, settings, tests, guardrails.

The door is overrides.py; each other file reads one section, and schema.py says all of it to editors.
"""
