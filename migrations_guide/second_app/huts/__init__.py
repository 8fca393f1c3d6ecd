"""A mountain club's huts, for members with a token: a Django application of its own, which is not the helpdesk."""
