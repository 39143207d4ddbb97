"""The datastore asked about itself, on every database there is."""

import logging
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from nova_api import tally
from nova_api.db import models, vitals
from nova_api.db.engine import Database

MARK = "s3cret-parameter"


def test_it_answers_and_has_a_clock(any_db: Database) -> None:
    vitals.ping(any_db)
    assert abs(vitals.clock(any_db) - datetime.now(UTC)) < timedelta(minutes=5)


def test_an_empty_cloud_uses_nothing(any_db: Database) -> None:
    with any_db.read() as conn:
        assert set(vitals.in_use(conn).values()) == {0}
        assert vitals.backlog(conn) == (0, 0.0)
        assert vitals.sealed_secret(conn) is None


def test_backlog(any_db: Database) -> None:
    rows = [
        {"topic": "compute", "body": "{}", "created_at": models.now() - timedelta(seconds=age)} for age in (500, 1, 0)
    ]
    any_db.write(lambda tx: tx.execute(models.outbox.insert(), rows))
    with any_db.read() as conn:
        count, age = vitals.backlog(conn)
    assert count == 3
    assert 499 <= age < 700


@pytest.mark.parametrize(("seconds", "lines"), [(1e-9, 1), (0, 0), (3600, 0)])
def test_slow_statements_are_logged_without_parameters(
    any_db: Database, caplog: pytest.LogCaptureFixture, seconds: float, lines: int
) -> None:
    watched = Database(any_db.url.render_as_string(hide_password=False))
    vitals.watch(watched, seconds)
    before = tally.counts()["slow_queries"]
    with closing(watched), watched.read() as conn, caplog.at_level(logging.WARNING, "nova_api.db.vitals"):
        conn.execute(sa.select(sa.literal(MARK))).scalar()
        found = [record for record in caplog.records if record.name == "nova_api.db.vitals"]
    assert len(found) == lines
    assert MARK not in caplog.text
    if lines:
        assert "SELECT" in found[0].getMessage()
        assert tally.counts()["slow_queries"] > before


def test_errors_do_not_show_parameters(any_db: Database) -> None:
    row = {"id": MARK, "is_admin": False}
    with pytest.raises(sa.exc.IntegrityError) as caught:
        any_db.write(lambda tx: [tx.execute(models.users.insert().values(**row)) for _ in range(2)])
    assert "[SQL parameters hidden" in str(caught.value)
    assert "parameters: {" not in str(caught.value)
