"""One expression language, CEL syntax: parsed, checked against fields, interpreted in memory; translated to SQL in
`storage`. No attribute access on Python objects, no calls but the declared functions, a step budget always."""
