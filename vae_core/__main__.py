"""`python -m vae_core`: everything that the app does, without the app."""

from vae_core.cli.app import main

main()
