"""Write what the settings' table says into .env.example and README.md: `make docs`."""

import re
from pathlib import Path

from bot.config.docs import env_example, settings_table_markdown

ROOT = Path(__file__).parent.parent

if __name__ == "__main__":
    (ROOT / ".env.example").write_text(env_example())
    readme = (ROOT / "README.md").read_text()
    table = re.compile(r"(<!-- settings -->\n).*?(\n<!-- /settings -->)", re.DOTALL)
    (ROOT / "README.md").write_text(table.sub(lambda match: match[1] + settings_table_markdown() + match[2], readme))
