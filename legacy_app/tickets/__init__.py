"""Customers, their tickets, and what was said about them."""
