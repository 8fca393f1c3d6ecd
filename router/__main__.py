"""`python -m router`: see `cli`."""

from .cli import main

main()
