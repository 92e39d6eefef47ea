"""The file of this program and a host (or a folder that becomes one) in; what is installed there, or no more, out.

The doors are `planned` of plan.py and `put` of put.py, `take_back` of removal.py, and `changed` of manifest.py, which
says what somebody else wrote over. parts.py is the table of all that is installed: a new part is a line there.
"""
