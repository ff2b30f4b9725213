"""The texts for people say what the table of settings says."""

from pathlib import Path

from bot.config.docs import env_example, settings_table_markdown
from bot.config.load import load_config

ROOT = Path(__file__).parents[3]


def test_env_example_is_the_table() -> None:
    """.env.example is what bot.config.docs.env_example() returns."""
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == env_example()


def test_readme_holds_the_table() -> None:
    """README.md has settings_table_markdown() between its markers."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    _, _, rest = readme.partition("<!-- settings -->\n")
    table, end, _ = rest.partition("\n<!-- /settings -->")
    assert end
    assert table.strip() == settings_table_markdown()


def test_env_example_can_be_used_as_it_is(tmp_path: Path) -> None:
    """Copied to .env it changes nothing, with its values commented out or not."""
    for text in (env_example(), env_example().replace("\n#", "\n").replace("\n ", "\n# ")):
        (tmp_path / ".env").write_text(text, encoding="utf-8")
        assert load_config({}, tmp_path / ".env") == load_config({})
