"""`python -m soar` runs the command line."""

import sys

from soar.cli import main

sys.exit(main())
