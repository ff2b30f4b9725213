"""The tables and views of the history, as numbered migrations for MySQL 8.0+ and MariaDB 10.6+.

Neither server can undo a change of a table, so every statement may run again after a migration that was cut short.
"""

import re

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from storage.errors import StorageError

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

# The figures of scoring/statistics.py `compare`, NULL where it has NaN or infinity: first the sums of each day, then
# those of all days, from which the figures follow. An interval of a mean R is by the spread between days, the delta
# method for a ratio of sums, where `compare` draws resamples: they agree as far as such intervals do.
# Multiplying by 1e0 makes doubles: the average of whole numbers has four decimals.
_DAYS = """
    SELECT {group} AS {name}, strategy, side, version,
        sum(NOT is_control) AS alerts,
        sum(NOT is_control AND reachable_r IS NOT NULL) * 1e0 AS n,
        sum(NOT is_control AND coalesce(reachable_net_percent > 0, FALSE)) * 1e0 AS wins,
        coalesce(sum(CASE WHEN NOT is_control THEN reachable_r END), 0) AS total_r,
        coalesce(sum(CASE WHEN NOT is_control AND reachable_net_percent > 0 THEN reachable_r END), 0) AS won_r,
        coalesce(sum(CASE WHEN NOT is_control AND reachable_net_percent <= 0 THEN greatest(-reachable_r, 0) END), 0)
            AS lost_r,
        coalesce(sum(CASE WHEN NOT is_control THEN greatest(reachable_r, 0) END), 0) AS gains_r,
        coalesce(sum(CASE WHEN NOT is_control THEN greatest(-reachable_r, 0) END), 0) AS losses_r,
        coalesce(sum(CASE WHEN NOT is_control THEN reachable_net_percent END), 0) AS net_percent,
        sum(NOT is_control AND r IS NULL) AS not_known,
        sum(NOT is_control AND r IS NOT NULL AND reachable_r IS NULL) AS not_reached,
        sum(is_control AND reachable_r IS NOT NULL) * 1e0 AS chance_n,
        coalesce(sum(CASE WHEN is_control THEN reachable_r END), 0) AS chance_r
    FROM results JOIN signals ON id = results.signal_id JOIN signal_versions ON signal_versions.signal_id = id
    GROUP BY {group}, strategy, side, version, date(decided_at)
"""
_SUMS = """
    SELECT {name}, strategy, side, version,
        sum(n) AS n, sum(wins) AS wins, sum(total_r) AS total_r, sum(won_r) AS won_r, sum(lost_r) AS lost_r,
        sum(gains_r) AS gains_r, sum(losses_r) AS losses_r, sum(net_percent) AS net_percent,
        cast(sum(not_known) AS SIGNED) AS not_known, cast(sum(not_reached) AS SIGNED) AS not_reached,
        sum(chance_n) AS chance_n, sum(chance_r) AS chance_r,
        sum(total_r) / nullif(sum(n), 0) AS expectancy_r, sum(chance_r) / nullif(sum(chance_n), 0) AS chance_mean,
        sum(n > 0) AS days, sum(chance_n > 0) AS chance_days,
        sum(total_r * total_r) AS rr, sum(total_r * n) AS rn, sum(n * n) AS nn,
        sum(chance_r * chance_r) AS crr, sum(chance_r * chance_n) AS crn, sum(chance_n * chance_n) AS cnn,
        sum(total_r * chance_r) AS r_cr, sum(total_r * chance_n) AS r_cn,
        sum(n * chance_r) AS n_cr, sum(n * chance_n) AS n_cn
    FROM ({days}) AS by_day
    GROUP BY {name}, strategy, side, version
    HAVING sum(alerts) > 0
"""
_ERRORS = """
    SELECT summed.*,
        CASE WHEN days >= 10 THEN days / (days - 1e0)
            * greatest(0, rr - 2 * expectancy_r * rn + expectancy_r * expectancy_r * nn) / (n * n) END AS variance,
        CASE WHEN chance_days >= 10 THEN chance_days / (chance_days - 1e0)
            * greatest(0, crr - 2 * chance_mean * crn + chance_mean * chance_mean * cnn) / (chance_n * chance_n)
            END AS chance_variance,
        CASE WHEN least(n, chance_n) >= 30 THEN (r_cr - chance_mean * r_cn - expectancy_r * n_cr
            + expectancy_r * chance_mean * n_cn) / (n * chance_n) END AS covariance
    FROM ({sums}) AS summed
"""
_PERFORMANCE = """
    CREATE OR REPLACE VIEW {view} AS
    SELECT {name}, strategy, side, version,
        cast(n AS SIGNED) AS n,
        cast(wins AS SIGNED) AS wins,
        wins / nullif(n, 0) AS win_rate,
        greatest(0, (wins / n + 1.920729440648e0 / n
            - 1.959964e0 * sqrt(wins / n * (1 - wins / n) / n + 0.960364720324e0 / (n * n))
        ) / (1 + 3.841458881296e0 / n)) AS win_rate_low,
        least(1, (wins / n + 1.920729440648e0 / n
            + 1.959964e0 * sqrt(wins / n * (1 - wins / n) / n + 0.960364720324e0 / (n * n))
        ) / (1 + 3.841458881296e0 / n)) AS win_rate_high,
        lost_r / nullif(n - wins, 0) / (won_r / nullif(wins, 0) + lost_r / nullif(n - wins, 0)) AS break_even_win_rate,
        expectancy_r,
        expectancy_r - 1.959964e0 * sqrt(variance) AS expectancy_r_low,
        expectancy_r + 1.959964e0 * sqrt(variance) AS expectancy_r_high,
        gains_r / nullif(losses_r, 0) AS profit_factor,
        CASE WHEN n > 0 THEN net_percent END AS net_percent,
        not_known,
        not_reached,
        cast(chance_n AS SIGNED) AS chance_n,
        chance_mean AS chance_expectancy_r,
        chance_mean - 1.959964e0 * sqrt(chance_variance) AS chance_expectancy_r_low,
        chance_mean + 1.959964e0 * sqrt(chance_variance) AS chance_expectancy_r_high,
        expectancy_r - chance_mean AS difference_r,
        expectancy_r - chance_mean - 1.959964e0 * sqrt(greatest(0, variance + chance_variance - 2 * covariance))
            AS difference_r_low,
        expectancy_r - chance_mean + 1.959964e0 * sqrt(greatest(0, variance + chance_variance - 2 * covariance))
            AS difference_r_high
    FROM ({errors}) AS counted
    ORDER BY {name}, strategy, side, version
"""


def _performance(view: str, name: str, group: str) -> str:
    sums = _SUMS.format(name=name, days=_DAYS.format(name=name, group=group))
    return _PERFORMANCE.format(view=view, name=name, errors=_ERRORS.format(sums=sums))


_GROUPS = (
    ("daily_performance", "day", "date(exited_at)"),
    ("performance_by_score_band", "score_band", "cast(least(95, 5 * floor(score / 5)) AS SIGNED)"),
    ("performance_by_coin", "coin", "coin"),
    ("performance_by_venue", "venue", "venue"),
    ("performance_by_hour", "hour_utc", "hour(decided_at)"),
)
_VIEWS = (
    """
    CREATE OR REPLACE VIEW latest_signals AS
    SELECT id, decided_at, side, venue, coin, pair, score, entry, take_profit, stop,
        exited_at, reason, fill, reachable_net_percent, reachable_r, net_percent, r, held_s, note
    FROM signals LEFT JOIN exits ON signal_id = id
    ORDER BY id DESC
    """,
    """
    CREATE OR REPLACE VIEW open_signals AS
    SELECT signals.* FROM signals LEFT JOIN exits ON signal_id = id WHERE signal_id IS NULL ORDER BY id
    """,
    """
    CREATE OR REPLACE VIEW gate_refusals AS
    SELECT gate, count(*) AS near_misses, max(decided_at) AS last_at
    FROM verdicts JOIN near_misses ON near_misses.id = subject_id
    WHERE subject = 'near_miss' AND NOT passed
    GROUP BY gate
    ORDER BY near_misses DESC, gate
    """,
    """
    CREATE OR REPLACE VIEW results AS
    SELECT signal_id, FALSE AS is_control, exited_at, r, reachable_net_percent, reachable_r FROM exits
    UNION ALL
    SELECT controls.signal_id, TRUE, exited_at, r, reachable_net_percent, reachable_r
    FROM control_exits JOIN controls ON controls.id = control_id
    """,
    *(_performance(*group) for group in _GROUPS),
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
        *_VIEWS,
    ),
)

VIEWS = frozenset(found[1] for step in MIGRATIONS for sql in step if (found := re.search(r"REPLACE VIEW (\w+)", sql)))


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
    """Make the next `migrate` create what is missing, and the next copy begin from the first change."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS schema_version, sync, generation")
