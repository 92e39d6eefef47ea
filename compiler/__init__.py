"""The compiler: bytes in, values out; no network, no clock, no global state."""
