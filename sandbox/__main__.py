"""`python -m sandbox provider | up | demo | callers`."""

from .cli import main

main()
