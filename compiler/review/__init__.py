"""A workspace in, what a reviewer asks of its policy out, answered from exact sets of packets.

The door is build.py; check.py, diff.py, explain.py, matrix.py and promises.py are the questions.
"""
