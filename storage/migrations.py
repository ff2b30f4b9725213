"""The tables, as numbered migrations: entry n brings a database of version n to version n + 1.

SQL that has run on somebody's disk is never changed, so this file only grows.
"""

from pathlib import Path

import aiosqlite

from storage.errors import StorageError

# Floats live in the JSON text to the bit, where a REAL column would lose the sign of zero; generated columns show them.
MIGRATIONS = (
    """
    CREATE TABLE signals (
        id INTEGER PRIMARY KEY,
        decided_ms INTEGER NOT NULL,
        side TEXT NOT NULL,
        venue TEXT NOT NULL,
        instrument_id TEXT NOT NULL,
        coin TEXT NOT NULL,
        pair TEXT NOT NULL,
        details TEXT NOT NULL,
        score REAL GENERATED ALWAYS AS (json_extract(details, '$.score')) VIRTUAL,
        entry REAL GENERATED ALWAYS AS (json_extract(details, '$.levels.entry')) VIRTUAL,
        stop REAL GENERATED ALWAYS AS (json_extract(details, '$.levels.stop')) VIRTUAL
    );
    CREATE INDEX signals_by_time ON signals (decided_ms);

    CREATE TABLE open_signals (
        signal_id INTEGER PRIMARY KEY REFERENCES signals (id),
        tracking TEXT NOT NULL
    );

    CREATE TABLE outcomes (
        signal_id INTEGER PRIMARY KEY REFERENCES signals (id),
        exit_ms INTEGER NOT NULL,
        reason TEXT NOT NULL,
        outcome TEXT NOT NULL,
        net_percent REAL GENERATED ALWAYS AS (json_extract(outcome, '$.ideal.net_percent')) VIRTUAL,
        r REAL GENERATED ALWAYS AS (json_extract(outcome, '$.ideal.r')) VIRTUAL
    );
    CREATE INDEX outcomes_by_time ON outcomes (exit_ms);

    CREATE TABLE near_misses (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        decided_ms INTEGER NOT NULL,
        venue TEXT NOT NULL,
        instrument_id TEXT NOT NULL,
        coin TEXT NOT NULL,
        details TEXT NOT NULL,
        score REAL GENERATED ALWAYS AS (json_extract(details, '$.score')) VIRTUAL
    );
    CREATE INDEX near_misses_by_time ON near_misses (decided_ms);

    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        chat_id TEXT NOT NULL,
        kind TEXT NOT NULL,
        priority INTEGER NOT NULL,
        signal_id INTEGER REFERENCES signals (id),
        html TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        entry_price REAL,
        state TEXT NOT NULL DEFAULT 'pending',
        attempts INTEGER NOT NULL DEFAULT 0,
        may_repeat INTEGER NOT NULL DEFAULT 0,
        not_before_ms INTEGER NOT NULL DEFAULT 0,
        message_id INTEGER,
        sent_ms INTEGER,
        is_expiry_told INTEGER NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX outbox_by_state ON outbox (state, chat_id);
    CREATE UNIQUE INDEX one_alert_per_chat ON outbox (signal_id, chat_id) WHERE kind = 'entry';
    CREATE UNIQUE INDEX one_exit_per_chat ON outbox (signal_id, chat_id) WHERE kind = 'exit';

    -- An exit, or whatever else speaks of a signal, replies to that signal's alert in the same chat.
    CREATE VIEW messages AS
    SELECT message.*, alert.message_id AS reply_to_message_id, alert.state AS alert_state
    FROM outbox AS message
    LEFT JOIN outbox AS alert ON alert.signal_id = message.signal_id AND alert.chat_id = message.chat_id
        AND alert.kind = 'entry' AND message.kind <> 'entry';

    CREATE TABLE blocked_chats (chat_id TEXT PRIMARY KEY, reason TEXT NOT NULL);

    CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    """,
    # For the history in MySQL: which rows have changed, each once, by their last change; and which database this is.
    """
    CREATE TABLE changes (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        source TEXT NOT NULL,
        row_id INTEGER NOT NULL,
        UNIQUE (source, row_id)
    );
    INSERT INTO changes (source, row_id) SELECT 'signals', id FROM signals ORDER BY id;
    INSERT INTO changes (source, row_id) SELECT 'outcomes', signal_id FROM outcomes ORDER BY signal_id;
    INSERT INTO changes (source, row_id) SELECT 'near_misses', id FROM near_misses ORDER BY id;
    INSERT INTO changes (source, row_id) SELECT 'outbox', id FROM outbox ORDER BY id;

    CREATE TRIGGER signal_added AFTER INSERT ON signals
    BEGIN INSERT OR REPLACE INTO changes (source, row_id) VALUES ('signals', new.id); END;
    CREATE TRIGGER outcome_added AFTER INSERT ON outcomes
    BEGIN INSERT OR REPLACE INTO changes (source, row_id) VALUES ('outcomes', new.signal_id); END;
    CREATE TRIGGER near_miss_added AFTER INSERT ON near_misses
    BEGIN INSERT OR REPLACE INTO changes (source, row_id) VALUES ('near_misses', new.id); END;
    CREATE TRIGGER message_added AFTER INSERT ON outbox
    BEGIN INSERT OR REPLACE INTO changes (source, row_id) VALUES ('outbox', new.id); END;
    CREATE TRIGGER message_moved AFTER UPDATE ON outbox
    BEGIN INSERT OR REPLACE INTO changes (source, row_id) VALUES ('outbox', new.id); END;

    INSERT INTO state (key, value) VALUES ('database_id', '"' || lower(hex(randomblob(16))) || '"');
    """,
    # What stands under a message, and messages that change in place.
    """
    ALTER TABLE outbox ADD COLUMN buttons TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE outbox ADD COLUMN edit_key TEXT NOT NULL DEFAULT '';
    ALTER TABLE outbox ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
    CREATE UNIQUE INDEX one_message_per_edit_key ON outbox (edit_key, chat_id) WHERE edit_key <> '';
    """,
    # When the bot ran and how the venues were; and what is pruned needs no copying any more.
    """
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        started_ms INTEGER NOT NULL,
        ended_ms INTEGER,
        version TEXT NOT NULL,
        code_hash TEXT NOT NULL,
        config_hash TEXT NOT NULL
    );
    CREATE TABLE venue_health (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        changed_ms INTEGER NOT NULL,
        venue TEXT NOT NULL,
        state TEXT NOT NULL,
        note TEXT NOT NULL
    );
    CREATE INDEX venue_health_by_time ON venue_health (changed_ms);
    CREATE INDEX outbox_by_time ON outbox (created_ms);

    CREATE TRIGGER run_began AFTER INSERT ON runs
    BEGIN INSERT OR REPLACE INTO changes (source, row_id) VALUES ('runs', new.id); END;
    CREATE TRIGGER run_ended AFTER UPDATE ON runs
    BEGIN INSERT OR REPLACE INTO changes (source, row_id) VALUES ('runs', new.id); END;
    CREATE TRIGGER venue_health_changed AFTER INSERT ON venue_health
    BEGIN INSERT OR REPLACE INTO changes (source, row_id) VALUES ('venue_health', new.id); END;

    CREATE TRIGGER near_miss_pruned AFTER DELETE ON near_misses
    BEGIN DELETE FROM changes WHERE source = 'near_misses' AND row_id = old.id; END;
    CREATE TRIGGER message_pruned AFTER DELETE ON outbox
    BEGIN DELETE FROM changes WHERE source = 'outbox' AND row_id = old.id; END;
    CREATE TRIGGER venue_health_pruned AFTER DELETE ON venue_health
    BEGIN DELETE FROM changes WHERE source = 'venue_health' AND row_id = old.id; END;
    """,
    # What a signal was decided on, what near misses would have made, and the market's windows for a warm start.
    """
    CREATE TABLE captures (signal_id INTEGER PRIMARY KEY REFERENCES signals (id), capture BLOB NOT NULL);

    CREATE TABLE followed_near_misses (
        near_miss_id INTEGER PRIMARY KEY REFERENCES near_misses (id) ON DELETE CASCADE,
        tracking TEXT
    );
    CREATE TABLE near_miss_outcomes (
        near_miss_id INTEGER PRIMARY KEY REFERENCES near_misses (id) ON DELETE CASCADE,
        exit_ms INTEGER NOT NULL,
        reason TEXT NOT NULL,
        outcome TEXT NOT NULL,
        net_percent REAL GENERATED ALWAYS AS (json_extract(outcome, '$.ideal.net_percent')) VIRTUAL,
        r REAL GENERATED ALWAYS AS (json_extract(outcome, '$.ideal.r')) VIRTUAL
    );

    CREATE TABLE windows (id INTEGER PRIMARY KEY CHECK (id = 1), snapshot BLOB NOT NULL);
    """,
    # What has become of an alert's signal, a line each, edited in below the alert.
    "ALTER TABLE outbox ADD COLUMN follow_up TEXT NOT NULL DEFAULT '';",
    # The highest score of a near miss's episode that the threshold alone refused, for what another would have given.
    """
    ALTER TABLE near_misses ADD COLUMN peak_score REAL;
    UPDATE near_misses SET peak_score = score WHERE json_extract(details, '$.failed') = '["score"]';
    CREATE INDEX near_misses_by_coin ON near_misses (coin, id);
    """,
    # Chats that refuse the bot are tried again; chats that the settings no longer name get nothing; what never arrived
    # is told of; and who steered the bot.
    """
    ALTER TABLE outbox RENAME COLUMN is_expiry_told TO is_told;
    UPDATE outbox SET is_told = 1 WHERE state IN ('uncertain', 'failed');
    ALTER TABLE blocked_chats ADD COLUMN since_ms INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE former_chats (chat_id TEXT PRIMARY KEY);

    CREATE TABLE steering (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        done_ms INTEGER NOT NULL,
        user_id INTEGER NOT NULL,
        chat_id TEXT NOT NULL,
        command TEXT NOT NULL,
        answer TEXT NOT NULL
    );
    CREATE TRIGGER steered AFTER INSERT ON steering
    BEGIN INSERT OR REPLACE INTO changes (source, row_id) VALUES ('steering', new.id); END;
    """,
    # Each run is a generation of its own: so the history in MySQL notices a database brought back from a backup.
    """
    CREATE TABLE generations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        generation TEXT NOT NULL DEFAULT (lower(hex(randomblob(16)))),
        first_seq INTEGER NOT NULL
    );
    """,
    # What may be added up in a record; a version that was not kept is ''. R from the reachable price was in units of
    # the distance from that price to the stop, which can be next to nothing: now in units of the planned risk.
    """
    ALTER TABLE signals ADD COLUMN strategy TEXT
        GENERATED ALWAYS AS (coalesce(json_extract(details, '$.strategy'), 'ups')) VIRTUAL;
    ALTER TABLE signals ADD COLUMN version TEXT
        GENERATED ALWAYS AS (coalesce(json_extract(details, '$.version'), '')) VIRTUAL;
    UPDATE outcomes SET outcome = json_set(
            outcome,
            '$.reachable.r',
            json_extract(outcome, '$.reachable.net_percent') / (
                SELECT json_extract(details, '$.levels.stop_percent') FROM signals WHERE id = signal_id
            )
        )
        WHERE json_type(outcome, '$.reachable') = 'object';
    INSERT OR REPLACE INTO changes (source, row_id) SELECT 'signals', id FROM signals ORDER BY id;
    INSERT OR REPLACE INTO changes (source, row_id) SELECT 'outcomes', signal_id FROM outcomes ORDER BY signal_id;
    """,
    # What chance makes beside each alert. `decided_ms` is when a control begins: its levels are null until then.
    """
    CREATE TABLE controls (
        id INTEGER PRIMARY KEY,
        signal_id INTEGER NOT NULL REFERENCES signals (id),
        arm TEXT NOT NULL,
        decided_ms INTEGER NOT NULL,
        venue TEXT NOT NULL,
        instrument_id TEXT NOT NULL,
        coin TEXT NOT NULL,
        details TEXT NOT NULL,
        tracking TEXT
    );
    CREATE INDEX controls_by_signal ON controls (signal_id);
    CREATE TABLE control_outcomes (
        control_id INTEGER PRIMARY KEY REFERENCES controls (id),
        exit_ms INTEGER NOT NULL,
        reason TEXT NOT NULL,
        outcome TEXT NOT NULL,
        net_percent REAL GENERATED ALWAYS AS (json_extract(outcome, '$.ideal.net_percent')) VIRTUAL,
        r REAL GENERATED ALWAYS AS (json_extract(outcome, '$.ideal.r')) VIRTUAL
    );
    CREATE INDEX control_outcomes_by_time ON control_outcomes (exit_ms);

    CREATE TRIGGER control_added AFTER INSERT ON controls
    BEGIN INSERT OR REPLACE INTO changes (source, row_id) VALUES ('controls', new.id); END;
    CREATE TRIGGER control_begun AFTER UPDATE OF details ON controls
    BEGIN INSERT OR REPLACE INTO changes (source, row_id) VALUES ('controls', new.id); END;
    CREATE TRIGGER control_ended AFTER INSERT ON control_outcomes
    BEGIN INSERT OR REPLACE INTO changes (source, row_id) VALUES ('control_outcomes', new.control_id); END;
    """,
    # What near misses would have made goes to MySQL too. Nothing was ever polled for those that have ended.
    """
    UPDATE near_miss_outcomes SET outcome = json_set(outcome, '$.is_by_quotes', json('true'))
        WHERE json_type(outcome, '$.ideal') = 'object';
    UPDATE outcomes SET outcome = json_set(outcome, '$.is_by_quotes', json('true'))
        WHERE json_extract(outcome, '$.note') LIKE '%only quotes were seen%';
    INSERT INTO changes (source, row_id)
        SELECT 'near_miss_outcomes', near_miss_id FROM near_miss_outcomes ORDER BY near_miss_id;
    CREATE TRIGGER near_miss_ended AFTER INSERT ON near_miss_outcomes
    BEGIN INSERT OR REPLACE INTO changes (source, row_id) VALUES ('near_miss_outcomes', new.near_miss_id); END;
    CREATE TRIGGER near_miss_outcome_pruned AFTER DELETE ON near_miss_outcomes
    BEGIN DELETE FROM changes WHERE source = 'near_miss_outcomes' AND row_id = old.near_miss_id; END;
    """,
    # The windows are a file of their own now: in here each save was written twice.
    """
    DROP TABLE windows;
    """,
    # Each target, and what each closed, go to MySQL too.
    """
    INSERT OR REPLACE INTO changes (source, row_id) SELECT 'signals', id FROM signals ORDER BY id;
    INSERT OR REPLACE INTO changes (source, row_id)
        SELECT 'outcomes', signal_id FROM outcomes WHERE json_array_length(outcome, '$.fills') > 0 ORDER BY signal_id;
    """,
)


async def migrate(connection: aiosqlite.Connection) -> None:
    """Bring an older database to this code's version, each step whole or not at all."""
    version = await version_of(connection)
    for number, sql in enumerate(MIGRATIONS[version:], start=version + 1):
        try:
            await connection.executescript(f"BEGIN IMMEDIATE;{sql}PRAGMA user_version = {number};COMMIT;")
        finally:
            await connection.rollback()  # undoes a step that failed, does nothing after a commit


async def version_of(connection: aiosqlite.Connection) -> int:
    """Return how many migrations the database has had."""
    ((version,),) = await connection.execute_fetchall("PRAGMA user_version")
    return int(version)


def refuse_newer(path: Path, version: int) -> None:
    """Raise StorageError for a database that newer code has changed."""
    if version > len(MIGRATIONS):
        raise StorageError(f"{path}: its schema is {version}, this code's is {len(MIGRATIONS)}: update the bot")
