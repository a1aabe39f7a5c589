"""What Grids shows: one file for each kind of sheet, with the controls that belong to it."""
