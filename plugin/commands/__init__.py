"""A command line in, an exit status out: calico-rkt's commands for people.

The door is tree.py, which knows every command.
"""
