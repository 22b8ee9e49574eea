"""`python -m soar`: the command line. Knows nothing else."""

import sys

from soar.cli import main

sys.exit(main())
