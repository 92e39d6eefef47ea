"""A Network in, Calico's v3 Profile out; and back, by Calico's own rules.

The doors are write.py and read.py.
"""
