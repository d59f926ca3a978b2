"""What a plugin may import: hook specifications, markers, and nothing that is not listed here."""
