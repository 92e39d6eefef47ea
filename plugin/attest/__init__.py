"""The reviewed workspace, the records and the kernel in; that they are equal, or what differs, or what is open, out.

The door is judge.py. Nothing here knows how the table is written: what it should be is said anew (guards.py for the
part that no network owns, oracle.py for packets), and import-linter holds that no template is asked.
"""
