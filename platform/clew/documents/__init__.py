"""Documents made of records, for people to read on paper."""
