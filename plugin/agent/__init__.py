"""A launcher's connection in, its CNI call done and answered out: the same code as a call of its own, kept warm.

The door is run.py; launcher.c is the other end, and wire.py what they say to each other.
"""
