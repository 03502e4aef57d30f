"""What can go wrong, as types a shell can tell apart.

Every message says what, where, and what to do next.  `exit_code` is what the command line returns.
"""


class ForescaleError(Exception):
    """Anything we detect and explain ourselves; a traceback would only hide the message."""

    exit_code: int = 1


class InputError(ForescaleError):
    """The user's data, query or arguments cannot be used as they are."""

    exit_code = 2


class SeriesError(InputError):
    """A series breaks its contract: step, order, sign, finiteness or length."""


class SeriesGapError(SeriesError):
    """More samples are missing than the stated share allows."""


class BundleError(InputError):
    """A model bundle is missing, truncated, altered, or of a schema this version does not know."""


class SourceError(ForescaleError):
    """A metric source could not be reached or failed to answer."""

    exit_code = 3
