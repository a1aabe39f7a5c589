"""What the page Concepts is made of."""
