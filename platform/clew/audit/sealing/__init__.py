"""Sealing: leaves become entries of one append-only Merkle log; its signed checkpoints leave the house."""
