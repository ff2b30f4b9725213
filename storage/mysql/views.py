"""The views of the history, for MySQL 8.0+ and MariaDB 10.6+; storage/mysql/schema.py creates them."""

# The figures of scoring/records.py `compare`, NULL where it has NaN or infinity: first the sums of each day, then
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
VIEWS = (
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
