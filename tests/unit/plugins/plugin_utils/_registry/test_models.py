# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables that the code knows are those that the migrations make, and every file can be imported without a library."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from support import places

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import models, upgrade
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry

FOLDER = pathlib.Path(upgrade.__file__).parent
PREFIX = "ansible_collections.edgefleet.tpm2.plugins.plugin_utils"


def test_one_version_of_alembic_is_asked_for() -> None:
    paths = [
        path for part in ("README.md", "docs", "meta", "plugins") for path in sorted({places.ROOT / part, *(places.ROOT / part).rglob("*")})
    ]
    asked = {
        (path.relative_to(places.ROOT).as_posix(), version)
        for path in paths
        if path.suffix in (".md", ".txt", ".yml", ".py") and path.is_file()
        for version in re.findall(r"(?i)alembic ?(?:>= ?)?([0-9][0-9.]*[0-9])", path.read_text())
    }
    assert {version for _path, version in asked} == {"1.10"} and len(asked) > 6, asked


def test_alembic_finds_no_difference(tmp_path: pathlib.Path) -> None:
    open_registry(str(tmp_path / "registry.sqlite"))
    engine = sa.create_engine(f"sqlite:///{tmp_path}/registry.sqlite")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": models.VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, models.metadata) == []


def test_alembic_would_find_one(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_registry(str(tmp_path / "registry.sqlite"))
    engine = sa.create_engine(f"sqlite:///{tmp_path}/registry.sqlite")
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE events ADD COLUMN more VARCHAR")
        context = MigrationContext.configure(connection, opts={"version_table": models.VERSION_TABLE})
        assert len(compare_metadata(context, models.metadata)) == 1


def test_there_is_no_way_back() -> None:
    from alembic.script import ScriptDirectory

    scripts = [*ScriptDirectory(upgrade.MIGRATIONS).walk_revisions()]
    assert [script.revision for script in reversed(scripts)] == [*models.REVISIONS]
    for script in scripts:
        with pytest.raises(NotImplementedError, match="never downgraded: restore the backup"):
            script.module.downgrade()


def test_every_file_is_imported_without_any_library() -> None:
    files = [*FOLDER.rglob("*.py"), FOLDER.parent / "_escrow.py"]
    names = [".".join((PREFIX, *path.relative_to(FOLDER.parent).with_suffix("").parts)) for path in sorted(files)]
    assert len(names) > 10
    program = f"import importlib, sys\nfor one in {names!r}: importlib.import_module(one)\n"
    program += "print([one for one in ('sqlalchemy', 'alembic', 'psycopg', 'cryptography') if one in sys.modules])"
    # -S: no site-packages at all.
    environment = {**os.environ, "PYTHONPATH": str(places.COLLECTIONS)}
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
