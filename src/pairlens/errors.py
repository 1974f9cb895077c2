"""The one error that a user's input can cause."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence: what was wrong, where, and the remedy. The command line prints it without a
    traceback and exits with code 2; every other exception is a defect of ours and keeps its traceback.
    """
