"""The gallery of runs."""
