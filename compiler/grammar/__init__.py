"""What people write in `profiles/` in, checked values out: rules, overrides, settings, tests, guardrails."""
