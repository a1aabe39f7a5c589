"""What figures that stand still have in common."""

MARGIN = {"l": 60, "r": 16, "t": 16, "b": 52}
