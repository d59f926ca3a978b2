"""From validated documents to linked entities: every name resolved, every expression checked."""
