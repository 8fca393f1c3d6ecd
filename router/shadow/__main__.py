"""The shadow process; started by `process.py`, never by hand."""

from .worker import give_way, main

give_way()
main()
