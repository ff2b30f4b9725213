"""The tables and views of the history, as numbered migrations for MySQL 8.0+ and MariaDB 10.6+.

Neither server can undo a change of a table, so every statement may run again after a migration that was cut short.
"""

import re

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from storage.errors import StorageError
from storage.mysql.views import VIEWS

_LOCK_WAIT_S = 5  #: less than the connection's read timeout

_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS sync (
        database_id CHAR(32) PRIMARY KEY,
        watermark BIGINT NOT NULL
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
    """,
    """
    CREATE TABLE IF NOT EXISTS signals (
        id BIGINT PRIMARY KEY,
        decided_at DATETIME(3) NOT NULL,
        side VARCHAR(8) NOT NULL,
        venue VARCHAR(32) NOT NULL,
        instrument_id VARCHAR(64) NOT NULL,
        coin VARCHAR(64) NOT NULL,
        pair VARCHAR(64) NOT NULL,
        score DOUBLE NOT NULL,
        entry DECIMAL(38, 18) NOT NULL,
        take_profit DECIMAL(38, 18) NOT NULL,
        stop DECIMAL(38, 18) NOT NULL,
        take_profit_percent DOUBLE,
        stop_percent DOUBLE,
        cost_percent DOUBLE,
        net_take_profit_percent DOUBLE,
        net_stop_percent DOUBLE,
        break_even_win_rate DOUBLE,
        sellable_usdt DOUBLE,
        reasons TEXT NOT NULL,
        borrowed TEXT NOT NULL,
        code_hash VARCHAR(64) NOT NULL,
        config_hash VARCHAR(64) NOT NULL,
        KEY signals_by_time (decided_at),
        KEY signals_by_coin (coin, decided_at),
        KEY signals_by_venue (venue, decided_at)
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
    """,
    """
    CREATE TABLE IF NOT EXISTS signal_features (
        signal_id BIGINT NOT NULL,
        kind VARCHAR(16) NOT NULL,
        name VARCHAR(64) NOT NULL,
        value DOUBLE,
        PRIMARY KEY (signal_id, kind, name),
        CONSTRAINT features_of_signal FOREIGN KEY (signal_id) REFERENCES signals (id)
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
    """,
    """
    CREATE TABLE IF NOT EXISTS near_misses (
        id BIGINT PRIMARY KEY,
        decided_at DATETIME(3) NOT NULL,
        venue VARCHAR(32) NOT NULL,
        instrument_id VARCHAR(64) NOT NULL,
        coin VARCHAR(64) NOT NULL,
        score DOUBLE,
        entry DECIMAL(38, 18),
        KEY near_misses_by_time (decided_at)
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
    """,
    """
    CREATE TABLE IF NOT EXISTS verdicts (
        subject VARCHAR(16) NOT NULL,
        subject_id BIGINT NOT NULL,
        gate VARCHAR(64) NOT NULL,
        passed BOOLEAN NOT NULL,
        value DOUBLE,
        limit_value DOUBLE,
        reason TEXT NOT NULL,
        PRIMARY KEY (subject, subject_id, gate),
        KEY verdicts_by_gate (gate, passed)
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
    """,
    """
    CREATE TABLE IF NOT EXISTS exits (
        signal_id BIGINT PRIMARY KEY,
        exited_at DATETIME(3) NOT NULL,
        reason VARCHAR(32) NOT NULL,
        fill DECIMAL(38, 18),
        gross_percent DOUBLE,
        net_percent DOUBLE,
        r DOUBLE,
        reachable_entry DECIMAL(38, 18),
        reachable_gross_percent DOUBLE,
        reachable_net_percent DOUBLE,
        reachable_r DOUBLE,
        mae_percent DOUBLE,
        mfe_percent DOUBLE,
        held_s DOUBLE,
        is_ambiguous BOOLEAN NOT NULL,
        note TEXT NOT NULL,
        KEY exits_by_time (exited_at),
        CONSTRAINT exit_of_signal FOREIGN KEY (signal_id) REFERENCES signals (id)
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
    """,
    """
    CREATE TABLE IF NOT EXISTS deliveries (
        id BIGINT PRIMARY KEY,
        signal_id BIGINT,
        chat_id VARCHAR(64) NOT NULL,
        kind VARCHAR(16) NOT NULL,
        state VARCHAR(16) NOT NULL,
        attempts INT NOT NULL,
        may_repeat BOOLEAN NOT NULL,
        created_at DATETIME(3) NOT NULL,
        sent_at DATETIME(3),
        message_id BIGINT,
        error TEXT NOT NULL,
        KEY deliveries_by_time (created_at),
        CONSTRAINT delivery_of_signal FOREIGN KEY (signal_id) REFERENCES signals (id)
    ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
    """,
)


def _ends(table: str, key: str, of: str, more: str = "") -> str:
    return f"""
        CREATE TABLE IF NOT EXISTS {table} (
            {key} BIGINT PRIMARY KEY,
            exited_at DATETIME(3) NOT NULL,
            reason VARCHAR(32) NOT NULL,
            fill DECIMAL(38, 18),
            gross_percent DOUBLE,
            net_percent DOUBLE,
            r DOUBLE,
            reachable_entry DECIMAL(38, 18),
            reachable_gross_percent DOUBLE,
            reachable_net_percent DOUBLE,
            reachable_r DOUBLE,
            mae_percent DOUBLE,
            mfe_percent DOUBLE,
            held_s DOUBLE,
            is_ambiguous BOOLEAN NOT NULL,
            note TEXT NOT NULL,
            {more}
            KEY {table}_by_time (exited_at),
            CONSTRAINT {table}_of FOREIGN KEY ({key}) REFERENCES {of} (id)
        ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
    """


MIGRATIONS = (
    _TABLES,
    (
        """
        CREATE TABLE IF NOT EXISTS runs (
            id BIGINT PRIMARY KEY,
            started_at DATETIME(3) NOT NULL,
            ended_at DATETIME(3),
            version VARCHAR(64) NOT NULL,
            code_hash VARCHAR(64) NOT NULL,
            config_hash VARCHAR(64) NOT NULL
        ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
        """,
        """
        CREATE TABLE IF NOT EXISTS venue_health (
            id BIGINT PRIMARY KEY,
            changed_at DATETIME(3) NOT NULL,
            venue VARCHAR(32) NOT NULL,
            state VARCHAR(16) NOT NULL,
            note TEXT NOT NULL,
            KEY venue_health_by_venue (venue, changed_at)
        ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
        """,
    ),
    (
        """
        CREATE TABLE IF NOT EXISTS steering (
            id BIGINT PRIMARY KEY,
            done_at DATETIME(3) NOT NULL,
            user_id BIGINT NOT NULL,
            chat_id VARCHAR(64) NOT NULL,
            command TEXT NOT NULL,
            answer TEXT NOT NULL,
            KEY steering_by_time (done_at)
        ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
        """,
    ),
    # Which life of the SQLite database the rows come from, and rows that the server refuses.
    (
        """
        CREATE TABLE IF NOT EXISTS generation (generation CHAR(32) PRIMARY KEY)
        ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
        """,
        """
        CREATE TABLE IF NOT EXISTS refused_rows (
            source VARCHAR(32) NOT NULL,
            row_id BIGINT NOT NULL,
            error TEXT NOT NULL,
            PRIMARY KEY (source, row_id)
        ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
        """,
    ),
    (
        """
        CREATE TABLE IF NOT EXISTS signal_versions (
            signal_id BIGINT PRIMARY KEY,
            strategy VARCHAR(64) NOT NULL,
            version VARCHAR(64) NOT NULL,
            CONSTRAINT version_of_signal FOREIGN KEY (signal_id) REFERENCES signals (id)
        ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
        """,
    ),
    # The control group, and what near misses would have made.
    (
        """
        CREATE TABLE IF NOT EXISTS controls (
            id BIGINT PRIMARY KEY,
            signal_id BIGINT NOT NULL,
            arm VARCHAR(32) NOT NULL,
            decided_at DATETIME(3) NOT NULL,
            venue VARCHAR(32) NOT NULL,
            instrument_id VARCHAR(64) NOT NULL,
            coin VARCHAR(64) NOT NULL,
            pair VARCHAR(64) NOT NULL,
            entry DECIMAL(38, 18),
            take_profit DECIMAL(38, 18),
            stop DECIMAL(38, 18),
            CONSTRAINT control_of_signal FOREIGN KEY (signal_id) REFERENCES signals (id)
        ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
        """,
        _ends("control_exits", "control_id", "controls"),
        _ends("near_miss_exits", "near_miss_id", "near_misses", "is_by_quotes BOOLEAN NOT NULL,"),
        *VIEWS,
    ),
    # Several targets, and what each closed.
    (
        """
        CREATE TABLE IF NOT EXISTS signal_targets (
            signal_id BIGINT NOT NULL,
            place TINYINT NOT NULL,
            price DECIMAL(38, 18) NOT NULL,
            share DOUBLE NOT NULL,
            PRIMARY KEY (signal_id, place),
            CONSTRAINT targets_of_signal FOREIGN KEY (signal_id) REFERENCES signals (id)
        ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
        """,
        """
        CREATE TABLE IF NOT EXISTS exit_fills (
            signal_id BIGINT NOT NULL,
            place TINYINT NOT NULL,
            share DOUBLE NOT NULL,
            price DECIMAL(38, 18) NOT NULL,
            filled_at DATETIME(3) NOT NULL,
            reason VARCHAR(32) NOT NULL,
            PRIMARY KEY (signal_id, place),
            CONSTRAINT fills_of_signal FOREIGN KEY (signal_id) REFERENCES signals (id)
        ) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
        """,
    ),
)

VIEW_NAMES = frozenset(
    found[1] for step in MIGRATIONS for sql in step if (found := re.search(r"REPLACE VIEW (\w+)", sql))
)


def migrate(connection: "Connection[Cursor]") -> None:
    """Bring the database to this code's version; of several processes one works and the others wait.

    Raises
    ------
    StorageError
        Another process holds the lock for too long, or newer code has been here.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT get_lock('sgnl', %s)", (_LOCK_WAIT_S,))
        if cursor.fetchone() != (1,):
            raise StorageError("another process is changing the tables of the history")
        try:
            cursor.execute("CREATE TABLE IF NOT EXISTS schema_version (version INT PRIMARY KEY) ENGINE = InnoDB")
            cursor.execute("SELECT coalesce(max(version), 0) FROM schema_version")
            ((version,),) = cursor.fetchall()
            if version > len(MIGRATIONS):
                raise StorageError(
                    f"the history's schema is {version}, this code's is {len(MIGRATIONS)}: update the bot"
                )
            for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in statements:
                    cursor.execute(statement)
                cursor.execute("INSERT INTO schema_version (version) VALUES (%s)", (number,))
                connection.commit()
        finally:
            cursor.execute("SELECT release_lock('sgnl')")


def tables(connection: "Connection[Cursor]") -> set[str]:
    """Return the names of the tables and views that are there."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = database()")
        return {name for (name,) in cursor.fetchall()}


def forget(connection: "Connection[Cursor]") -> None:
    """Let the next `migrate` create what is missing, and the next copy start from the first change."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS schema_version, sync, generation")
