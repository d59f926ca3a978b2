"""What the pack's processes calculate by themselves: structures, samples, records, certificates, allocation, needs."""
