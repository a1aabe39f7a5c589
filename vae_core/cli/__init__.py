"""The command line: one file a concern, torch imported only by the commands that need it."""
