"""Tests of the sandbox: real sockets, real processes, free ports."""
