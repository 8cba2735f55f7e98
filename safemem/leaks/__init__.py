"""The audit: what leaks, who holds it, and what mends it."""
