"""What a user reads about a failure: one sentence."""

import errno


def sentence(error: Exception) -> str:
    """Return what a user should read about `error`: an OSError's cause and file, or its message."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error) or type(error).__name__
    hint = " (`ulimit -n` allows more)" if error.errno == errno.EMFILE else ""
    which = "" if error.filename is None else f": {error.filename}"
    return f"{error.strerror}{hint}{which}"
