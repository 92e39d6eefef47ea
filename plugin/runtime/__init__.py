"""A network's name and a network namespace in, all plugins of its conf run as a runtime does, out.

This is libcni's part, for containers whose runtime has none. The doors are networks.py (whose plugins), namespaces.py
(what somebody calls a namespace) and attachments.py (attach, detach).
"""
