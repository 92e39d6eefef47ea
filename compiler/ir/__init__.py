"""What a network's policy means, as frozen values in and out: rules, selectors, ids, the digest, plain evaluation.

The door is model.py; the others say something of its values.
"""
