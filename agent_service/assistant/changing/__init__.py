"""Changes: proposed, approved by a person, applied once, written down."""
