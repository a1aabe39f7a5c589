"""Many runs under one name: which settings are tried, in which order, by how many at a time."""
