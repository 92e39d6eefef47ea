"""Cells of the support matrix in (a Debian release, and what is tried there), a table of what held out: `make matrix`.

cells.py says what is tried, packages.py gathers Python packages for a release's Python, host.py runs a cell.
"""
