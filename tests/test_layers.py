"""The house: which room may import which, no cycles, and no I/O in the pure rooms."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "features": {"features"},
    "scoring": {"scoring", "features"},
    "fetchers": {"fetchers", "features"},
    "storage": {"storage", "features", "scoring"},
    "bot": {"bot", "storage", "fetchers", "scoring", "features"},
}
#: whatever all rooms of bot may import
BELOW = {"bot.clock", "bot.config", "bot.daily", "bot.lifecycle", "bot.logs", "bot.tasks", "bot.version"}
SIDES = {"bot.chat", "bot.publish", "bot.watchdogs", "bot.web"}
#: the arrows inside bot: core <- {chat, web, publish, watchdogs} <- wiring <- services <- cli <- __main__
BOT_MAY_IMPORT = {
    **dict.fromkeys(BELOW, BELOW),
    "bot.core": BELOW | {"bot.core"},
    **{side: BELOW | {"bot.core", side} for side in SIDES},
    "bot.wiring": BELOW | SIDES | {"bot.core"},
    "bot.replay": BELOW | SIDES | {"bot.core", "bot.wiring"},
    "bot.measures": BELOW | SIDES | {"bot.core", "bot.wiring"},
    "bot.services": BELOW | SIDES | {"bot.core", "bot.wiring", "bot.measures"},
    "bot.cli": BELOW | SIDES | {"bot.core", "bot.wiring", "bot.replay", "bot.services", "bot.cli"},
    "bot.__main__": {"bot.cli"},
}
PURE_STANDARD_LIBRARY = {
    *("collections", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "itertools"),
    *("math", "operator", "re", "statistics", "types", "typing", "zoneinfo"),
}


@cache
def _imports(path: Path) -> list[str]:
    """Return the dotted names that the module imports, function-local imports included."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute in this house"
            names.append(node.module or "")
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def _modules() -> dict[str, Path]:
    """Return every module of the product by its dotted name."""
    paths = (path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


MODULES = _modules()


@pytest.mark.parametrize("module", MODULES)
def test_arrows(module: str) -> None:
    """A module imports only the rooms that its room may know; nothing imports bot but bot, and nobody imports tests."""
    room = module.partition(".")[0]
    rooms = {name.partition(".")[0] for name in _imports(MODULES[module])}
    assert rooms & (MAY_IMPORT.keys() | {"tests"}) <= MAY_IMPORT[room]


def test_arrows_inside_bot() -> None:
    """The rooms of bot know only those below: core no chat, chat no web, nobody the wiring but who starts a bot."""
    modules = [module for module in MODULES if module.startswith("bot.")]
    assert {_bot_room(module) for module in modules} <= BOT_MAY_IMPORT.keys()
    wrong = {
        (module, other)
        for module in modules
        for other in set(_imports(MODULES[module])) & set(modules)
        if _bot_room(other) not in BOT_MAY_IMPORT[_bot_room(module)] and not _is_package(other)
    }
    assert wrong == set()


def _bot_room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def _is_package(module: str) -> bool:
    return MODULES[module].name == "__init__.py"


@pytest.mark.parametrize("module", [m for m in MODULES if m.partition(".")[0] in {"features", "scoring"}])
def test_pure_rooms_have_no_io(module: str) -> None:
    """features/ and scoring/ use numpy and harmless standard modules: nothing that reads, waits or tells the time."""
    roots = {name.partition(".")[0] for name in _imports(MODULES[module])}
    allowed = PURE_STANDARD_LIBRARY | {"numpy", "features", "scoring", "__future__"}
    assert roots <= allowed, f"{module} imports {sorted(roots - allowed)}"
    assert "datetime.datetime.now" not in MODULES[module].read_text()


def test_only_the_wiring_imports_the_live_feed() -> None:
    """Everybody else is handed a `MarketFeed`, so that a tape or a test can be one."""
    knows = {module for module, path in MODULES.items() if "fetchers.feed" in _imports(path)}
    assert not {module for module in knows if module.startswith(("bot.core", "bot.chat", "bot.web"))}


def test_no_cycles() -> None:
    """The modules' imports form no cycle."""
    edges = {module: (set(_imports(path)) & MODULES.keys()) - {module} for module, path in MODULES.items()}
    finished: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, f"import cycle: {' -> '.join((*trail, module))}"
        if module not in finished:
            for target in edges[module]:
                visit(target, (*trail, module))
            finished.add(module)

    for module in MODULES:
        visit(module, ())


def test_no_name_of_a_library() -> None:
    """No module is named like a standard library module or an installed library it could be mistaken for."""
    taken = sys.stdlib_module_names | {"telegram", "aiohttp", "ccxt", "numpy", "loguru", "pymysql"}
    assert {name.rpartition(".")[2] for name in MODULES} & taken <= {"statistics", "__main__"}


#: modules whose test has another name, since another module's test is where they are used
TESTED_IN = {
    "bot.web.api": "tests/bot/web/test_app.py",
    "bot.web.replies": "tests/bot/web/test_app.py",
    "storage.connection": "tests/storage/test_database.py",
    "bot.__main__": "tests/bot/test_main.py",
    **{
        f"bot.chat.texts.{name}": "tests/bot/chat/test_snapshots.py"
        for name in ("alerts", "marks", "notices", "tables")
    },
    "bot.chat.delivery.attempts": "tests/bot/chat/delivery/test_outbox_loop.py",
    "bot.chat.texts.listing": "tests/bot/chat/commands/test_commands.py",
    **{f"bot.chat.bot_api.{name}": "tests/bot/chat/bot_api/test_polling.py" for name in ("application", "sending")},
    "bot.chat.bot_api.translation": "tests/bot/chat/bot_api/test_polling.py",
    **{
        f"bot.chat.delivery.{name}": "tests/bot/chat/delivery/test_outbox_loop.py"
        for name in ("doubt", "losses", "record", "replies", "stamps", "transmission")
    },
    "bot.cli.backup": "tests/bot/cli/test_restore.py",
    "bot.cli.check": "tests/bot/test_main.py",
    "bot.cli.checks": "tests/bot/test_main.py",
    "bot.cli.run": "tests/bot/test_main.py",
    "bot.cli.shared": "tests/bot/test_main.py",
    "bot.cli.summary": "tests/bot/test_main.py",
    "bot.cli.simulate": "tests/bot/test_main.py",
    "bot.cli.unpair": "tests/bot/chat/bot_api/test_pairing.py",
    "bot.core.gap_candles": "tests/bot/core/test_open_signals.py",
    "bot.core.sight": "tests/bot/core/test_open_signals.py",
    "bot.core.performance": "tests/bot/cli/test_report.py",
    "bot.core.recompute": "tests/bot/cli/test_why.py",
    "bot.config.chat_ids": "tests/bot/chat/delivery/test_sender.py",
    "bot.config.sounds": "tests/bot/chat/delivery/test_sounds.py",
    "bot.wiring": "tests/bot/test_services.py",
    "bot.core.announcer": "tests/bot/chat/test_announcer.py",
    "bot.core.ledger": "tests/bot/core/test_orchestrator.py",
    "bot.core.market": "tests/bot/core/test_orchestrator.py",
    "bot.clock": "tests/bot/core/test_orchestrator.py",
    "bot.config.env_file": "tests/bot/config/test_load.py",
    "bot.config.kinds": "tests/bot/config/test_load.py",
    "bot.config.settings": "tests/bot/config/test_load.py",
    "features.declare": "tests/bot/config/test_load.py",
    "features.borrowing": "tests/features/test_frame.py",
    "features.builder": "tests/features/test_frame.py",
    "features.state.books": "tests/features/state/test_market_state.py",
    "features.state.candles": "tests/features/state/test_market_state.py",
    "features.state.columns": "tests/features/state/test_market_state.py",
    "features.state.prints": "tests/features/state/test_market_state.py",
    "features.state.quotes": "tests/features/state/test_market_state.py",
    "features.missing": "tests/test_features_doc.py",
    "fetchers.simulated.wires": "tests/fetchers/test_fifth_venue.py",
    "fetchers.venues": "tests/fetchers/test_venues.py",
    "fetchers.backfill_loader": "tests/fetchers/test_venue_poller.py",
    "fetchers.candidate_polls": "tests/fetchers/test_venue_poller.py",
    "fetchers.listed_ids": "tests/fetchers/test_venue_poller.py",
    "fetchers.venue_calls": "tests/fetchers/test_venue_poller.py",
    "fetchers.deep_check.probes": "tests/fetchers/deep_check/test_check.py",
    "fetchers.deep_check.steps": "tests/fetchers/deep_check/test_check.py",
    "fetchers.deep_check.verdicts": "tests/fetchers/deep_check/test_check.py",
    **{
        f"fetchers.simulated.streams.{name}": "tests/fetchers/simulated/streams/test_stream_server.py"
        for name in ("binance", "bybit", "mexc", "stream_faults", "stream_wire")
    },
    "fetchers.streams.build": "tests/fetchers/streams/test_venue_stream.py",
    "fetchers.streams.connection": "tests/fetchers/streams/test_venue_stream.py",
    "fetchers.transport.pools": "tests/fetchers/transport/test_budget.py",
    "fetchers.transport.session": "tests/fetchers/transport/test_route.py",
    "fetchers.venue_report": "tests/fetchers/test_venue_poller.py",
    "fetchers.errors": "tests/fetchers/transport/test_client.py",
    "fetchers.parsing.build_records": "tests/fetchers/venues/test_binance.py",
    "scoring.exits.ending": "tests/scoring/test_exits.py",
    "scoring.exits.follow": "tests/scoring/test_exits.py",
    "scoring.exits.gap": "tests/scoring/test_exits.py",
    "scoring.exits.look": "tests/scoring/test_exits.py",
    "scoring.exits.open_signal": "tests/scoring/test_exits.py",
    "scoring.exits.sight": "tests/scoring/test_exits.py",
    "scoring.exits.trailing": "tests/scoring/test_exits.py",
    "scoring.records": "tests/scoring/test_statistics.py",
    "scoring.signals": "tests/scoring/test_limits.py",
    "scoring.strategies": "tests/scoring/strategies/test_base.py",
    "storage.messages": "tests/storage/test_outbox.py",
    "scoring.strategies.ups_short.gates": "tests/scoring/test_gates.py",
    "bot.chat.candle_charts": "tests/bot/core/test_live_levels.py",
    "scoring.strategies.levels.watch": "tests/scoring/strategies/test_levels_strategy.py",
    "bot.core.leg_watch": "tests/scoring/strategies/test_levels_strategy.py",
    "fetchers.simulated.legs": "tests/bot/core/test_planted_legs.py",
    "features.candle_readings": "tests/features/state/test_candle_store.py",
    "features.state.candle_ring": "tests/features/state/test_candle_store.py",
    "features.state.candle_track": "tests/features/state/test_candle_store.py",
    "features.state.candle_beginning": "tests/features/state/test_candle_store.py",
    "features.candle_frame": "tests/features/state/test_candle_store.py",
    "features.candle_settings": "tests/features/state/test_candle_store.py",
    "scoring.strategies.levels.legs": "tests/scoring/strategies/test_levels_strategy.py",
    "scoring.strategies.levels.score": "tests/scoring/strategies/test_levels_strategy.py",
    "scoring.strategies.levels.plan": "tests/scoring/strategies/test_levels_strategy.py",
    "scoring.strategies.levels.gates": "tests/scoring/strategies/test_levels_strategy.py",
    "scoring.strategies.levels.phrases": "tests/scoring/strategies/test_levels_strategy.py",
    "scoring.strategies.levels.settings": "tests/scoring/strategies/test_levels_strategy.py",
    "features.phenomena.zones": "tests/features/phenomena/test_swings.py",
}


@pytest.mark.parametrize("module", MODULES)
def test_mirror(module: str) -> None:
    """A module with functions of its own has a test of the same name in the same place, or of the name given above."""
    path = MODULES[module]
    if not any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _has_work(node) for node in _nodes(path)):
        return
    relative = path.relative_to(ROOT)
    expected = TESTED_IN.get(module, f"tests/{relative.parent}/test_{relative.name}")
    if module.startswith(("bot.chat.asking.", "bot.chat.commands.")) and not (ROOT / expected).exists():
        expected = "tests/bot/chat/commands/test_commands.py"  # each command as a user would use it
    assert (ROOT / expected).exists(), f"{relative} has no {expected}"


@cache
def _nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def _has_work(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether there is more in it than a docstring: protocols have nothing to test."""
    return len(function.body) > 1 or not isinstance(function.body[0], ast.Expr)


@pytest.mark.parametrize("module", [module for module, path in MODULES.items() if path.name != "__init__.py"])
def test_on_the_map(module: str) -> None:
    """Every module is named on ARCHITECTURE.md's map; the simulated market stands there as one."""
    *folders, name = module.split(".")
    room, file = ("fetchers", "simulated/") if "simulated" in folders else ("/".join(folders), f"{name}.py")
    lines = (ROOT / "ARCHITECTURE.md").read_text().splitlines()
    rooms: dict[str, str] = {}
    here = ""
    for line in lines:
        if match := re.match(r"\| ([\w/]*) *\| (`.*?) \|", line):
            here = match[1] or here
            rooms[here] = rooms.get(here, "") + match[2]
    assert f"`{file}`" in rooms.get(room, ""), f"{file} is missing in the rows of {room}"


def test_cited_documents_are_here() -> None:
    """A comment that sends its reader to a document names one of this repository."""
    rooms = (*MAY_IMPORT, "tests")
    here = {path.name for room in (*rooms, "docs") for path in (ROOT / room).rglob("*.md")}
    here |= {path.name for path in ROOT.glob("*.md")}
    cited = {
        (path.relative_to(ROOT).as_posix(), name.rpartition("/")[2])
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        for name in re.findall(r"[\w./-]+\.md\b", path.read_text())
    }
    assert {(path, name) for path, name in cited if name not in here} == set()
