"""A CNI call in, its answer out: which verb, which store, and what is taken back when it dies.

The door is call.py.
"""
