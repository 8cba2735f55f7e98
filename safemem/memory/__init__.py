"""How much memory things take, how much there is, and how much is left."""
