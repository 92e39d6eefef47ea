"""Default rule sets as data."""
