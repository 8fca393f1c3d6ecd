"""The assistant: summaries, draft replies, triage, search and answers, with the help of a language model."""
