"""Alembic's folder: what changed in the schema, version by version."""
