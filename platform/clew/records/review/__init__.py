"""Access review on real people and records: who can and why, what a change alters, what is unused, who attests."""
