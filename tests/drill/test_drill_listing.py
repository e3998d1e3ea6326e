"""What counts as not put back after a drill's restore."""

from __future__ import annotations

from pathlib import Path

from breakglass.drill.listing import differences, listing


def test_what_the_agent_wrote_anew_and_lies_aside_is_no_difference_but_its_first_file_is(
    tmp_path: Path,
) -> None:
    """The first one has to come back; what took its place was never there before the stop."""
    before = listing(tmp_path)
    aside = tmp_path / ".breakglass-aside"
    aside.mkdir()
    (aside / "6f2a5484ab9cdb4fa44e10c9.1").touch()

    assert differences(before, listing(tmp_path)) == ()

    (aside / "6f2a5484ab9cdb4fa44e10c9").touch()

    assert differences(before, listing(tmp_path)) == (".breakglass-aside/6f2a5484ab9cdb4fa44e10c9: new",)
