"""Answers in, text out: for people, programs, code scanners, pull requests and GitHub's own log.

The door for diagnostics is findings.py, for any answer in JSON json_document.py; the others are one format each.
"""
