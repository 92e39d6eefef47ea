"""Long runs of harnesses that tests run for seconds; their figures are kept and make docs/proof.md."""
