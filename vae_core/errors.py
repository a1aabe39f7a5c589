"""The one exception meant for the person at the screen."""

from __future__ import annotations


class UserError(Exception):
    """Bad input, told in one clear sentence: what was wrong, where, and what to do.

    The command line prints it and exits with status 2; a page shows it. Anything else that is
    raised is a defect of ours and keeps its traceback.
    """
