"""The base class of errors whose message is written for the user."""


class UserError(ValueError):
    """An error that the user can mend. The console script prints its message without a traceback."""
