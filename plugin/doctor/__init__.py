"""A host in; what is wrong with it, what follows from that and what cures it, out.

The door is `examine` of examine.py, which has the table of checks: each is one function that looks at one thing. What
another command finds out already is asked there. runtimes/ knows how runtimes are configured.
"""
