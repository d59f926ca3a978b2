"""Where data lives: engines and dialects, tables, the change plan, history, expression → SQL, blobs, releases."""
