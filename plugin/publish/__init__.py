"""Reviewed changes in, published profiles out: what apply, prune, status and import do."""
