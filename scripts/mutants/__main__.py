"""What scripts/test --mutants starts."""

import sys

from mutants.cli import main

sys.exit(main())
