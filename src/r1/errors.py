"""The exception for a user's mistake: the command line prints it and exits with status 2."""


class UserError(ValueError):
    """A mistake that the user can correct.

    The message says what is wrong, where (file, row or key) and what to do about it.
    Anything else that escapes is a defect of ours and keeps its traceback.
    """
