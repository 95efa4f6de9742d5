"""The base class of errors whose message is written for the user."""


class UserError(ValueError):
    """An error that the user can mend. The console script prints its message without a traceback."""

    exit_code = 2
    """Exit code of the console script: 2 for refused input, 1 where the machine failed."""
