"""Tests of the assistant service, most of them over real sockets."""
