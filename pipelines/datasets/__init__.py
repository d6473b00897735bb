"""Schemas, imports, snapshots and the event log: how data comes in and what training reads."""
