"""A Request and a Store in; an endpoint attached, checked or detached out.

The doors are add.py, delete.py and garbage.py, one a verb.
"""
