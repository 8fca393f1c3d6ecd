"""The monolith that is left: a helpdesk for several organisations, in plain Django."""
