"""Migrations run once, in order, each whole or not at all."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import aiosqlite
import pytest

from storage import database, migrations
from storage.migrations import MIGRATIONS, migrate, version_of
from storage.store import Store
from tests.storage.builders import (
    make_limits,
    make_near_miss,
    make_outcome,
    make_signal,
)
from tests.storage.conftest import Query


async def test_a_new_database_has_them_all(store: Store, path: Path) -> None:
    """A new database is at this code's version, and opening it again changes nothing."""
    await store.close()
    async with await Store.open(path), aiosqlite.connect(path) as connection:
        assert await version_of(connection) == len(MIGRATIONS)


async def test_a_failing_step_leaves_the_version_before_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that fails half-way leaves the database as the step before made it."""
    steps = ("CREATE TABLE one (x);", "CREATE TABLE two (x); CREATE TABLE one (x);")
    monkeypatch.setattr(migrations, "MIGRATIONS", steps)
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        with pytest.raises(sqlite3.OperationalError, match="table one already exists"):
            await migrate(connection)
        assert await version_of(connection) == 1
        assert list(await connection.execute_fetchall("SELECT name FROM sqlite_master")) == [("one",)]
        monkeypatch.setattr(migrations, "MIGRATIONS", (steps[0], "CREATE TABLE two (x);"))
        await migrate(connection)
        assert await version_of(connection) == 2


async def test_reachable_results_of_before(path: Path, query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    """R from the reachable price comes in units of the planned risk; the other rows stay, and all are copied again."""
    with_a_price, without_one = make_outcome(1), make_outcome(2, reachable=None)
    assert with_a_price.reachable is not None
    as_before = replace(with_a_price, reachable=replace(with_a_price.reachable, r=98.7))
    with monkeypatch.context() as older:
        for module in (migrations, database):
            older.setattr(module, "MIGRATIONS", MIGRATIONS[:9])
        async with await Store.open(path) as store:
            await store.remember([make_signal(1), make_signal(2)], make_limits(), [])
            for outcome in (as_before, without_one):
                await store.record_outcome(outcome, make_limits(), [])
    untouched = query("SELECT outcome FROM outcomes WHERE signal_id = 2")
    async with await Store.open(path), aiosqlite.connect(path) as connection:
        assert await version_of(connection) == len(MIGRATIONS)
    ((r,),) = query("SELECT outcome ->> '$.reachable.r' FROM outcomes WHERE signal_id = 1")
    assert r == pytest.approx(with_a_price.reachable.net_percent / make_signal().levels.stop_percent)
    assert query("SELECT outcome FROM outcomes WHERE signal_id = 2") == untouched
    assert query("SELECT DISTINCT strategy, version FROM signals") == [("ups", make_signal().version)]
    copied = query("SELECT source, row_id FROM changes WHERE source IN ('signals', 'outcomes') ORDER BY source, row_id")
    assert copied == [("outcomes", 1), ("outcomes", 2), ("signals", 1), ("signals", 2)]


async def test_near_misses_of_before(path: Path, query: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    """What near misses have made stays and is marked as judged by quotes; signals have no controls, and keep theirs."""
    misses = [make_near_miss(coin=coin) for coin in ("A", "B")]
    with monkeypatch.context() as older:
        for module in (migrations, database):
            older.setattr(module, "MIGRATIONS", MIGRATIONS[:10])
        async with await Store.open(path) as store:
            await store.remember([make_signal(1), make_signal(2)], make_limits(), [], misses, followed=misses)
            await store.record_near_misses([make_outcome(1), make_outcome(2, ideal=None, reachable=None)])
            await store.record_outcome(make_outcome(1, note="only quotes were seen"), make_limits(), [])
            await store.record_outcome(make_outcome(2), make_limits(), [])
    async with await Store.open(path) as store:
        ended = [outcome for _, outcome in await store.near_misses.find(0)]
        assert [outcome and outcome.is_by_quotes for outcome in ended] == [False, True]
        assert [outcome and outcome.is_by_quotes for _, outcome in await store.signals.find()] == [False, True]
        assert (await store.load()).controls == ()
        assert await store.controls.of_signal(1) == []
    copied = query("SELECT row_id FROM changes WHERE source = 'near_miss_outcomes' ORDER BY row_id")
    assert copied == [(1,), (2,)]
