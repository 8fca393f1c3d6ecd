"""A routing proxy that moves requests from a monolith to extracted services, one route at a time.

The story of one request is in `proxy.py`; what routes.toml may say is in `config.py`.
This package stands alone: copy the folder under any name.
"""
