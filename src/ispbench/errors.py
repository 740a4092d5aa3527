"""The one error that is the user's to mend: shown as one sentence, without a traceback."""


class UserError(Exception):
    """What is wrong and how to fix it, in one clear sentence for the terminal."""
