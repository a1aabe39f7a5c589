"""Live parts of a page: JavaScript and CSS beside the Python that mounts them."""
