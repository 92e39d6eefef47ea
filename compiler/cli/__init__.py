"""Command lines in, exit statuses out: compile-profile, and the commands that review a workspace."""

from calico_rkt.compiler.cli.compile import compile_profile

__all__ = ["compile_profile"]
