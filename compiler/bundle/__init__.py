"""What a datastore holds of ours in, one file of Calico resources out, and back.

The doors are write.py and read.py; resources.py has the values.
"""
