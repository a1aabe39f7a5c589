"""The page that sets up and watches a training."""
