"""Mathematical equality of answers in any notation (section 2.2.2 of the paper)."""
