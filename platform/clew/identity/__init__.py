"""Who people are and what they were given: accounts, credentials, sessions, tokens, assignments."""
