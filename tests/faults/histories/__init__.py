"""Random histories of calls, commands and mishaps in, each held against a model of what has to be there, out.

model.py has what is known and what must hold, calls.py, people.py and mishaps.py what can come next, trying.py tries
so many of them and makes a failing one short.
"""
