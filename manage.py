#!/usr/bin/env python3
"""The one way into Laurel: makes its own environment when there is none, then behaves as every Django project."""

import sys

from config import bootstrap

if __name__ == "__main__":
    sys.exit(bootstrap.main(sys.argv))
