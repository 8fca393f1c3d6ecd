"""An independent black-box suite for HTTP/1.1 reverse proxies: bytes in, bytes out, on real sockets.

It knows nothing of the router but its command line. `python -m <package>.tests.conformance` prints what the router
and whichever of nginx, HAProxy, Envoy and Caddy are installed do in every case; the tests put the router to them.
"""
