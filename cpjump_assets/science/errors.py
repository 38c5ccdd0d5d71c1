"""Every error that a user can cause or cure, by name.

Belongs here: exception types whose message says what was expected, what was found and where (file, plate or well).
Does not belong here: programming errors, which stay ``TypeError``, ``ValueError`` or ``AssertionError``.
"""


class CpjumpError(Exception):
    """Base of the errors that are shown to users as one line, without a traceback."""


class SettingsError(CpjumpError):
    """A setting cannot be used; the message names the environment variable."""


class BadTableError(CpjumpError):
    """A table is not what it must be; the message names the table or file, and the plate, well or column."""


class UnknownStrategyError(CpjumpError):
    """A split strategy has a name that is not one of the three."""


class LeakageError(CpjumpError):
    """A split manifest breaks what its strategy promises."""


class ProfileError(CpjumpError):
    """Profiles cannot be normalized, selected or scored; the message names the plate, feature or class."""


class GalleryError(CpjumpError):
    """The gallery or the reference root cannot be listed or read, or gave something else than it promised."""


class StoreError(CpjumpError):
    """A table or file cannot be read from or written to the store."""


class BadImageError(CpjumpError):
    """A file is not the image that it must be; the message names the file, what was expected and what was found."""
