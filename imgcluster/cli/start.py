"""Where the program begins: until it can answer Ctrl-C, that ends it without a word."""

import os
import signal


def main() -> None:
    """Load the command line, which takes a moment, and run it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    from imgcluster.cli import app

    app.main()
