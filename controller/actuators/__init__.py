"""The ways in which a floor reaches its target, and back.  Shells around pure plans."""
