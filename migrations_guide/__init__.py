"""The guide: pages that a reader does step by step, and the tests that do them first."""
