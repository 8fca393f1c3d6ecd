"""The stage on which everything is shown: starts the processes, plays the LLM provider, plays the callers."""
