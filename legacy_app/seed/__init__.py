"""The helpdesk's sample organisations: their content (*.toml) and how a database is filled with it."""
