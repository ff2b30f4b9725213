"""docker-compose.yml, as far as it can be held to anything without Docker: to the settings, and to a careful set-up."""

import re
from pathlib import Path

from bot.config.env_file import COMPOSE_ONLY
from bot.config.load import load_config
from bot.config.settings import SETTINGS

ROOT = Path(__file__).parents[1]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


def service(name: str) -> str:
    """Return the lines of a service."""
    found = re.search(rf"^  {name}:\n(.*?)(?=^  \w|^\w|\Z)", COMPOSE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def environment(name: str) -> dict[str, str]:
    """Return what a service's environment sets."""
    (block,) = re.findall(r"^    environment:\n((?:^      .*\n)+)", service(name), re.MULTILINE)
    pairs = (line.strip().partition(": ") for line in block.splitlines() if "#" not in line)
    return {key: value.strip('"') for key, _, value in pairs}


def test_every_variable_is_in_env_example() -> None:
    """Whatever compose reads from .env is offered in .env.example."""
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name in re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE):
        assert re.search(rf"^#?{name}=", example, re.MULTILINE), name
    assert set(environment("mysql")) <= {*COMPOSE_ONLY, *SETTINGS}


def test_the_bot_finds_its_database(tmp_path: Path) -> None:
    """In its container the bot talks to the service mysql, whatever .env says of a host, as the user made there."""
    inside = {name: value for name, value in environment("bot").items() if "$" not in value}
    (tmp_path / ".env").write_text("MYSQL_HOST=127.0.0.1\nMYSQL_PORT=3307\nMYSQL_PASSWORD=secret\nDATA_DIR=elsewhere\n")
    config = load_config(inside, tmp_path / ".env")
    assert config.mysql is not None
    assert (config.mysql.host, config.mysql.port) == ("mysql", 3306)
    assert environment("mysql")["MYSQL_USER"] == f"${{MYSQL_USER:-{config.mysql.user}}}"
    assert environment("mysql")["MYSQL_DATABASE"] == f"${{MYSQL_DATABASE:-{config.mysql.database}}}"
    assert f"- data:{config.data_dir}\n" in service("bot")
    assert config.http.port == 8080
    assert "condition: service_healthy" in service("bot")


def test_their_health_is_asked_for() -> None:
    """MySQL is asked a query as the bot's user, the bot its /health at the port it is given; both are kept up."""
    asked = " ".join(re.findall(r"^      test: (.*)$", service("mysql"), re.MULTILINE))
    assert "$$MYSQL_USER --execute='SELECT 1' $$MYSQL_DATABASE" in asked
    assert f"http://127.0.0.1:{environment('bot')['HTTP_PORT']}/health" in (ROOT / "Dockerfile").read_text()
    assert COMPOSE.count("restart: unless-stopped") == 2


def test_what_is_kept_outlives_the_containers() -> None:
    """The bot's folder and MySQL's are volumes with a name, which compose declares."""
    mounted = set(re.findall(r"^      - (\w+):/", COMPOSE, re.MULTILINE))
    declared = set(re.findall(r"^  (\w+):$", COMPOSE.partition("\nvolumes:\n")[2], re.MULTILINE))
    assert mounted == declared == {"data", "mysql"}


def test_nothing_listens_to_other_machines() -> None:
    """Ports are published on this machine only, and the bot leaves its container's loopback only with a token."""
    assert re.findall(r'^      - "([\d.:]+)"$', COMPOSE, re.MULTILINE) == ["127.0.0.1:8080:8080"]
    assert re.findall(r"^ *ports:", service("mysql"), re.MULTILINE) == [], "nobody but the bot reaches the database"
    assert re.findall(r'# ports: \["([\d.:]+)"\]', service("mysql")) == ["127.0.0.1:3306:3306"]
    assert environment("bot")["HTTP_HOST"] == "${HTTP_TOKEN:+0.0.0.0}"


def test_nobody_is_root() -> None:
    """Neither container runs as root, nor may it become so."""
    assert "user: mysql" in service("mysql")
    assert all('security_opt: ["no-new-privileges:true"]' in service(name) for name in ("bot", "mysql"))
    assert "cap_drop: [ALL]" in service("bot")


def test_the_database_is_one_image() -> None:
    """It is pinned by digest: an update is a decision, as it changes files that an older one cannot read."""
    assert re.search(r"^    image: mysql:8\.4\.\d+@sha256:[0-9a-f]{64}$", service("mysql"), re.MULTILINE)


def test_the_bot_gets_no_password_that_it_does_not_use() -> None:
    """What .env holds for the database alone is taken out of the bot's environment."""
    inside = environment("bot")
    assert {name: inside[name] for name in COMPOSE_ONLY} == dict.fromkeys(COMPOSE_ONLY, "")


def test_logs_have_an_end() -> None:
    """Docker's own files of what the services say are cut."""
    assert "max-size: 10m" in COMPOSE
    assert all("logging: *logging" in service(name) for name in ("bot", "mysql"))
