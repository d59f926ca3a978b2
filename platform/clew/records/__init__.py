"""Records: one read path (`records.query`), one write path (`records.commands`), and what travels with a write."""
