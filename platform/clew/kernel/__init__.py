"""What every room stands on: errors, diagnostics, context, clock, ids, canonical scalars and JSON."""
