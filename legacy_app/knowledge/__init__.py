"""Articles of the knowledge base, cut into passages that can be searched by meaning."""
