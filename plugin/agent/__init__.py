"""The warm process that does CNI calls for the launcher: the same code as a call of its own, without the start-up."""
