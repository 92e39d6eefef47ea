"""The CNI specification: a call's environment and stdin in, a Request out; a Result or CniError in, its JSON out.

The doors are request.py and result.py.
"""
