"""The tables in the connectors' READMEs say what the connectors say.

    readme-tables.py BIN_DIR

For each folder under connectors/: the settings and defaults of the table under "Configuration" are
those of `spec`; the names, keys and cursors of the table under "Streams" are those of `discover`. A
README without that section is of a connector whose streams depend on the account.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    bin_dir = Path(sys.argv[1])
    folders = sorted(path.parent for path in ROOT.glob("connectors/*/README.md"))
    findings = [line for folder in folders for line in check(folder, bin_dir / folder.name)]
    print("\n".join(findings) or f"the tables of {len(folders)} README.md agree with the connectors")
    return 1 if findings or not folders else 0


def check(folder: Path, connector: Path) -> list[str]:
    readme = (folder / "README.md").read_text()
    tables = [("Configuration", settings(connector), table(readme, "Configuration", 2))]
    if "\n## Streams\n" in readme:
        tables.append(("Streams", streams(connector), table(readme, "Streams", 3)))
    findings = []
    for title, real, told in tables:
        findings += [f"{folder.name}, {title}: {row} is not in the table" for row in real if row not in told]
        findings += [f"{folder.name}, {title}: {row} is not true" for row in told if row not in real]
    return findings


def settings(connector: Path) -> list[tuple]:
    spec = payload(connector, "SPEC", "spec")["spec"]["connectionSpecification"]
    return [(name, default(spec, name)) for name in spec["properties"]]


def default(spec: dict, name: str) -> str:
    field = spec["properties"][name]
    if name in spec["required"]:
        return "required"
    if "default" not in field:
        return "{}" if field["type"] == "object" else "none"
    value = field["default"]
    return value if isinstance(value, str) and value else json.dumps(value)


def streams(connector: Path) -> list[tuple]:
    sandbox = connector.with_name("sandbox")
    with tempfile.NamedTemporaryFile(suffix=".json") as config:
        # The sandbox need not run: schemas are static.
        subprocess.run([sandbox, "config", connector.name], check=True, stdout=config)
        catalog = payload(connector, "CATALOG", "discover", "--config", config.name)["catalog"]
    return [(s["name"], key(s.get("source_defined_primary_key")), key([s.get("default_cursor_field")])) for s in catalog["streams"]]


def key(paths: list | None) -> str:
    return ", ".join(".".join(path) for path in paths or [] if path) or "–"


def payload(connector: Path, kind: str, *arguments: str) -> dict:
    output = subprocess.run([connector, *arguments], check=True, capture_output=True, text=True).stdout
    return next(message for message in map(json.loads, output.splitlines()) if message["type"] == kind)


def table(readme: str, title: str, columns: int) -> list[tuple]:
    """The first columns of the first table below a heading, without backticks and `+` marks."""
    section = readme.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.split("|")[1 : columns + 1] for line in section.splitlines() if line.startswith("|")]
    return [tuple(cell.strip().removesuffix(" +").strip("`") for cell in row) for row in rows[2:]]


if __name__ == "__main__":
    sys.exit(main())
