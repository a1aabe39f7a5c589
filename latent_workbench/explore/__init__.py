"""The page of sliders and directions."""
