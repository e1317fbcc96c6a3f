"""python -m vit"""

import sys

from vit.cli import main

sys.exit(main())
