"""A network conf's bytes in, a NetConf out.

The door is parse.py; netconf.py has the values.
"""
