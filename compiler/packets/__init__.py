"""Rules in, exact sets of their packets out: the algebra under the analyses of a policy.

The door is space.py, which makes boxes of rules; compare.py answers for two whole lists.
"""
