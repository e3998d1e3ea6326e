"""The order of a user list decides whom a rule of sudo lets in, as sudo itself reads it."""

from __future__ import annotations

import pytest

from breakglass_host.accounts import sudo_claims, sudo_rules
from breakglass_host.accounts.sudo_claims import Subject


@pytest.mark.parametrize(
    ("text", "is_let_in"),
    [
        ("!bot, ALL ALL=(root) /bin/true", True),
        ("ALL, !bot ALL=(root) /bin/true", False),
        ("User_Alias NOT = !bot\nNOT, ALL ALL=(root) /bin/true", True),
        ("User_Alias THEM = alice, bot\nALL, !THEM ALL=(root) /bin/true", False),
        ("User_Alias THEM = ALL, !bot\n!THEM ALL=(root) /bin/true", True),
        ("User_Alias THEM = !bot, ALL\nTHEM ALL=(root) /bin/true", True),
    ],
)
def test_the_last_item_that_means_the_account_decides(text: str, *, is_let_in: bool) -> None:
    """Tried with sudo 1.9.13: ``!bot, ALL`` lets bot in; a negation that comes later takes it back."""
    file = sudo_rules.parse("/etc/sudoers.d/x", text, is_drop_in=True)
    who = Subject("bot", 1001, {"bot": 1001}, frozenset({"bot"}))
    claims = sudo_claims.of([file], who)

    assert is_let_in is bool(claims.own or claims.shared)
