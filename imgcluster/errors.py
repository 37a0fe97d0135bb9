"""What can go wrong in a foreseeable way; each message is one line that says what to do next."""


class ImgclusterError(Exception):
    """Something could not be done; the message is written for the person at the terminal."""

    exit_code = 1


class UsageError(ImgclusterError):
    """Options that contradict each other or have values that can never work."""

    exit_code = 2


class UnreadableImage(ImgclusterError):
    """One file that could not be turned into pixels; the message is the reason, without the path.

    `temporary` marks trouble that may pass without the file changing: it is tried again on every run.
    """

    def __init__(self, reason: str, *, temporary: bool = False) -> None:
        super().__init__(reason)
        self.temporary = temporary


class Interrupted(ImgclusterError):
    """The user asked to stop; the message says what was kept."""

    exit_code = 130


class StoreError(ImgclusterError):
    """The feature store could not be opened, read or written."""


class StoreLocked(StoreError):
    """Another process holds the feature store."""


class MissingExtra(ImgclusterError):
    """An optional library is needed for what was asked."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f'{purpose} needs an optional part: pip install "imgcluster[{extra}]"')
