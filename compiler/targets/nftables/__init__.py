"""A Network in, nftables rules out; and back, by nft's own meaning.

The doors are write.py and read.py.
"""
