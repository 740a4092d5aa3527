"""Disturbs a program from within: sends it a signal when a function is called for the nth time."""

import importlib
import os
from functools import wraps


def disturb():
    """Does what the environment variable ``DISTURB`` says: ``MODULE:FUNCTION:FIRST ARGUMENT:TIME:SIGNAL``."""
    place, function, word, time, number = os.environ["DISTURB"].split(":")
    owner = importlib.import_module(place)
    *outer, name = function.split(".")
    for part in outer:
        owner = getattr(owner, part)
    real, left = getattr(owner, name), [int(time)]

    @wraps(real)
    def call(*args, **options):
        if not word or word in map(str, args):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), int(number))
        return real(*args, **options)

    setattr(owner, name, call)
