"""`python -m imgcluster`."""

import os
import sys

# `-m` puts the working folder first on the path, and that is often somebody else's: what lies there must not
# pass for a module. In a checkout it comes last, for there it gives imgcluster itself.
if not sys.flags.safe_path:
    working_folder = sys.path.pop(0)
    if os.path.dirname(os.path.dirname(os.path.abspath(__file__))) == working_folder:
        sys.path.append(working_folder)

from imgcluster.cli.start import main

if __name__ == "__main__":
    main()
