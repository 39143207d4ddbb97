"""Where alembic gets its connection from: the datastore that called it."""

from alembic import context

from nova_api.db.models import metadata

with context.config.attributes["engine"].connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=None)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
