"""The error that a user can fix, and the words that help to: shown as one sentence, without a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """What is wrong and how to fix it, in one clear sentence for the terminal."""


def mistake_in(error: BaseException) -> UserError | None:
    """The user's mistake that an error is, or that Hydra wrapped in an error of its own; None if it is another."""
    return next((found for found in (error, error.__cause__) if isinstance(found, UserError)), None)


def first_line(error: BaseException) -> str:
    """What a library says is wrong, without its further lines; the kind of error where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def suggest(name: str, valid: Iterable[str], cutoff: float = 0.6) -> str:
    """Continues a sentence about an unknown name.

    Args:
        name: What was typed.
        valid: The names there are.
        cutoff: How alike a name must be to be suggested, from 0 to 1.

    Returns:
        ``" Did you mean 'NAME'?"``, or nothing where no valid name is close.
    """
    near = get_close_matches(name, list(valid), n=1, cutoff=cutoff)
    return f" Did you mean {near[0]!r}?" if near else ""
