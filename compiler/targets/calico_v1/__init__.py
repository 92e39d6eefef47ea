"""A Network in, Calico's model of 2015 out; and back, as Felix of then reads it, split rules joined again.

The doors are write.py and read.py.
"""
