"""What may be raised: sentences for the person at the screen, and the request to stop."""

from __future__ import annotations


class UserError(Exception):
    """Bad input, told in one clear sentence: what was wrong, where, and what to do.

    The command line prints it and exits with status 2; a page shows it. Anything else that is
    raised is a defect of ours and keeps its traceback.

    shell: what helps in a shell alone, such as an option; the command line adds it to the sentence.
    exit_status: that of a command which it ends.
    """

    exit_status = 2

    def __init__(self, message: str = "", *, shell: str = "") -> None:
        super().__init__(message)
        self.shell = shell


class LeaseLost(UserError):
    """What this process worked on was taken over or deleted; it may write nothing more there."""


class DataChanged(UserError):
    """A run was to be resumed on other images than it was trained on; nothing was changed.

    acceptable: it can go on with the images as they are now.
    """

    def __init__(self, message: str, acceptable: bool = False) -> None:
        super().__init__(message, shell="--accept-changed-data" if acceptable else "")
        self.acceptable = acceptable


class Stopped(BaseException):
    """The work was told to stop: raised by a `Progress`, and by nothing else.

    Whoever runs work lets it through, and ends at once what it has started, such as pools and
    processes. As with KeyboardInterrupt, an `except Exception` on the way does not catch it.
    """


OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "Cannot allocate memory",
    "DefaultCPUAllocator",
    "bad_alloc",
    "STATUS_ALLOC_FAILED",  # cuBLAS and cuDNN
)
"""What libraries say, in errors of no class of their own, when they are refused memory."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is not enough memory, on the CPU or on another device."""
    refused = any(words in str(error) for words in OUT_OF_MEMORY)
    return isinstance(error, MemoryError) or (refused and isinstance(error, RuntimeError | OSError))
