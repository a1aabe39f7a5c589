"""What the pages share: state, pickers, figures, live components and their server routes."""
