"""The shadow process; started by `process.py`, never by hand."""

from .worker import main

main()
