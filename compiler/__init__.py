"""The compiler: bytes in, values out; no network, no clock, no global state.

The door is pipeline.py; for people cli/.
"""
