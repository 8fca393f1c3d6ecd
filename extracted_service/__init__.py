"""The assistant's endpoints, moved out of the monolith: FastAPI over the monolith's own database."""
