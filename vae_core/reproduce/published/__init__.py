"""One file a published result."""
