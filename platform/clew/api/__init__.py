"""GraphQL: one file per generated feature; translates GraphQL into `records.query` plans and `records.commands`."""
