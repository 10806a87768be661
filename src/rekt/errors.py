"""Every error this package raises on purpose, and whether trying again can help.

RektError
├── UsageError        the command line or the configuration is wrong            exit 2
│   └── ConfigError   a key, section or value: says file, line, nearest name    exit 2
├── FrameError        a frame that does not fit: goes to quarantine, never stops a stream
├── LedgerError       the ledger cannot be used as it is: says the way out      exit 1
├── ArchiveError      an archive cannot be written or read: says which day         exit 1
├── WireError         the venue can't be reached or hung up                     retryable
├── RestError         an instruments document can't be had                      retryable
└── StoreError        a store other than the ledger failed
"""


class RektError(Exception):
    """What went wrong, in a sentence for people, and optionally how to mend it.

    `retryable` tells whether the same attempt may succeed later; `exit_code` is what a command ends with.
    """

    retryable = False
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(RektError):
    """A wrong argument: nothing was done."""

    exit_code = 2


class ConfigError(UsageError):
    """A wrong configuration: which file, which line, which key, and what would be right."""


class FrameError(RektError):
    """The one error a decoder raises: the frame is not what the venue's documents say, or out of bounds."""


class LedgerError(RektError):
    """The ledger file can't be used (no SQLite file, corrupt, written by a newer version, of the other kind)."""


class ArchiveError(RektError):
    """An archive's day that can't be written or read: says which, why, and what to do."""


class WireError(RektError):
    """A connection that could not be made or that broke."""

    retryable = True


class RestError(RektError):
    """A REST document that could not be fetched or understood."""

    retryable = True


class StoreError(RektError):
    """A store other than the ledger refused or could not be reached."""

    retryable = True
