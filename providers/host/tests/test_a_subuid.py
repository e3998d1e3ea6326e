"""What runs under an account's subordinate uids is the account's own."""

from __future__ import annotations

from pathlib import Path

from breakglass_host import subuid


def test_the_ranges_of_an_account_are_read_by_uid_and_by_name(tmp_path: Path) -> None:
    """Another account's range, and lines that make no sense, are left out."""
    file = tmp_path / "subuid"
    file.write_text("root:100000:65536\n0:200000:10\nbot:300000:5\nroot:x:1\nroot\nroot:0:9\n")

    assert (range(100_000, 165_536), range(200_000, 200_010)) == subuid.ranges(0, file)
    assert () == subuid.ranges(60_999, file)
    assert () == subuid.ranges(0, tmp_path / "none")
