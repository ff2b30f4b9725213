"""`python -m bot`: the command line of bot/cli/parser.py."""

import signal
import sys

# The imports below take a second; a Ctrl-C meanwhile ends the program as quietly as one later on.
if __name__ == "__main__":
    for _name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(_name, lambda *_: sys.exit(0))


from bot.cli.parser import main

if __name__ == "__main__":
    raise SystemExit(main())
