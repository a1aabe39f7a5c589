"""What only the page Tune β shows: one idea a file."""
