"""What only the page Evaluate shows: one idea a file."""
