"""Answers in, text out: for people, programs, code scanners, pull requests and GitHub's own log."""
