"""The host's other firewalls in, what of ours they drop out.

The door is blocked.py.
"""
