"""A network's name, its subnets and a runtime in; the files that make it there, and what the runtime lacks, out.

The doors are runtimes.py (who can be meant, and who is here), plan.py (what would be written) and put.py (written).
"""
