"""The rule IR and what is said of it: frozen values, selectors, ids, the canonical form, plain evaluation."""
