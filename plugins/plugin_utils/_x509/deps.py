# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The one place where the code for certificates and CRLs imports cryptography, so that a missing one gives a sentence, not a traceback.

The other files import the names from here. If cryptography is missing, each name is None, and ``require`` raises DependencyError.
"""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import DependencyError

# Version 42 added not_valid_after_utc; before it, times had no zone.
MINIMUM = 42
IMPORT_ERROR: ImportError | None = None

try:
    import cryptography
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
    from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
except ImportError as error:
    IMPORT_ERROR = error

if not t.TYPE_CHECKING:

    def __getattr__(name: str) -> None:
        """None for a name that could not be imported; AttributeError for a name that does not exist, which is a bug."""
        if IMPORT_ERROR is None or name not in __all__:
            raise AttributeError(name)


def malformed() -> tuple[type[Exception], ...]:
    """The exceptions that cryptography raises for malformed X.509; not all of them are ValueErrors."""
    return (
        ValueError,
        TypeError,
        OverflowError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    )


def not_signed() -> tuple[type[Exception], ...]:
    """The exceptions that cryptography raises for a signature that does not verify, or is malformed."""
    return (InvalidSignature, *malformed())


def require(attempt: str) -> None:
    """Raise DependencyError if cryptography is missing or too old. ``attempt``: what was attempted, a verb with its object."""
    if IMPORT_ERROR is None:
        number = cryptography.__version__.partition(".")[0]
        if number.isdigit() and int(number) >= MINIMUM:
            return
        reason = f"its version is {cryptography.__version__}"
    else:
        reason = str(IMPORT_ERROR)
    raise DependencyError(
        f"Could not {attempt}: the controller needs the Python package cryptography {MINIMUM} or newer ({reason}); "
        f"install it for the Python that runs ansible-core, for example with pip install 'cryptography>={MINIMUM}'."
    )


__all__ = (
    "IMPORT_ERROR",
    "ExtendedKeyUsageOID",
    "ExtensionOID",
    "InvalidSignature",
    "NameOID",
    "UnsupportedAlgorithm",
    "ec",
    "hashes",
    "malformed",
    "not_signed",
    "padding",
    "require",
    "rsa",
    "serialization",
    "utils",
    "x509",
)
