"""One data set, one file that registers it (docs/add-a-dataset.md)."""
