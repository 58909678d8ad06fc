"""What scripts/kernel-matrix starts."""

import sys

from matrix.cli import main

sys.exit(main())
