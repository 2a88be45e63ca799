# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What Alembic runs for each upgrade: the migrations, in the transaction (and under the lock) of the connection that it is given."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import models

try:
    from alembic import context
except ImportError:
    pass  # upgrade.check() says so


def run() -> None:
    """Run the migrations."""
    context.configure(connection=context.config.attributes["connection"], version_table=models.VERSION_TABLE)
    with context.begin_transaction():
        context.run_migrations()


# Alembic loads this file under another name. An import under its own name (by a sanity test, for example) must not migrate anything.
if __name__ == "env_py":
    run()

__all__ = ("run",)
