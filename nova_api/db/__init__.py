"""The datastore: engine, tables, one query module per table group, migrations."""
