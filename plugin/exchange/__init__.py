"""One datastore in, a file of it or another datastore out: what calico-rkt export and import do.

The doors are export.py and import_plan.py.
"""
