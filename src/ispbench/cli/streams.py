"""Standard streams that end nothing: where a terminal, a log's disk or a reader fails, the work goes on unseen."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class LastingStream:
    """A text stream that discards what it cannot write any more.

    Args:
        stream: Where it writes.

    Attributes:
        failure: Why it could not write; None as long as it could.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.failure: OSError | None = None
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # an ASCII terminal shows ? instead

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes or discards a text."""
        if self.failure is None:
            try:
                return self._stream.write(text)
            except OSError as error:
                self._fail(error)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Writes or discards some texts."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Writes or discards what is still held."""
        if self.failure is None:
            try:
                self._stream.flush()
            except OSError as error:
                self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.failure = error
        discard = os.open(os.devnull, os.O_WRONLY)
        os.dup2(discard, self._stream.fileno())  # what the stream still holds would fail again at the program's end
        os.close(discard)


@contextmanager
def lasting_streams() -> Iterator[LastingStream]:
    """Makes standard output and standard error last; gives the former. A closed one discards everything."""
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:
        output, errors = (LastingStream(stream or nowhere) for stream in before)
        sys.stdout, sys.stderr = output, errors
        try:
            yield output
        finally:
            sys.stdout, sys.stderr = before
