"""Reviewed changes in, published profiles out: what apply, prune, status and import do.

The door is datastores.py; local.py and cluster.py do it, host_confs.py says what the host's files want.
"""
