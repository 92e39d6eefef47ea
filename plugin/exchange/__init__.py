"""One datastore in, a file of it or another datastore out: calico-rkt export and import.

The door is cli.py.
"""
