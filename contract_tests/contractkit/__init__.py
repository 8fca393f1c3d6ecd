"""Holds a written promise against answers: reading it, and saying in which place an answer breaks it."""
