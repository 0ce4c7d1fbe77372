"""`python -m node [redis.conf] --name value ...`: a standalone worker."""

import sys

from node.process import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
