"""A Debian release and names of its packages in; a host of its own with them, for a test to break, out.

The doors are host.py (a host) and trees.py (its files).
"""
