"""The identity exchange: who the caller of the router is, told to the extracted services as a signed token."""
