"""What every page uses: state, access, widgets, texts."""
