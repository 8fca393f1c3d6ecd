"""A model field for embeddings: pgvector's type on PostgreSQL, its text form on SQLite."""

from pgvector.django import VectorField

DIMENSIONS = 256


class EmbeddingField(VectorField):
    """A list of numbers, held in single precision on both databases: `[0.1,0.25,…]` as text."""

    def db_type(self, connection):
        return "text" if connection.vendor == "sqlite" else super().db_type(connection)
