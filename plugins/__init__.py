"""The operators: the NumPy reference that every implementation must match."""
