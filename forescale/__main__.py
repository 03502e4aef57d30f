"""Lets `python -m forescale` do what `forescale` does."""

from __future__ import annotations

import sys

from forescale.cli import main

sys.exit(main())
