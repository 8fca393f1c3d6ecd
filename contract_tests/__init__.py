"""One set of promises, put to the monolith and to the extracted service, both through the router."""
