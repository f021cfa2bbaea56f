"""The record of a run: schema, storage, environment, checksums."""
