"""The tree that machines start from is built once, or not at all."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from breakglass.errors import ProviderError
from breakglass_host import machine_owner, machine_place
from breakglass_host.machine import obstacle
from breakglass_host.machine_tree import Recipe, Say, cached, ensure
from tests.backends import need

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a tree must be root's own")


def small(recipe: Recipe, root: Path, say: Say) -> None:
    """Make the little of a tree that is finished off afterwards, slowly."""
    say(recipe.suite)
    for folder in ("etc/ssh", "var/lib/apt/lists"):
        (root / folder).mkdir(parents=True)
    (root / "etc/ssh/ssh_host_rsa_key").write_text("everybody's")
    time.sleep(0.3)


def test_two_builders_at_once_build_one_tree(tmp_path: Path) -> None:
    """The second one waits for the first, and takes what that built."""
    said: list[str] = []
    trees: list[Path] = []

    def build() -> None:
        trees.append(ensure(Recipe(), tmp_path, said.append, build=small))

    builders = [threading.Thread(target=build) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()

    assert (["bookworm"], 1, trees[0]) == (said, len(set(trees)), cached(Recipe(), tmp_path))
    assert [] == list((trees[0] / "etc/ssh").iterdir())


def test_a_failed_build_leaves_nothing_and_the_next_one_works(tmp_path: Path) -> None:
    """What a killed builder left is taken away too."""

    def failing(_recipe: Recipe, root: Path, _say: Say) -> None:
        root.mkdir()
        raise ProviderError("no mirror")

    (tmp_path / f"machine-{Recipe().digest}.building-killed").mkdir()
    with pytest.raises(ProviderError, match="no mirror"):
        ensure(Recipe(), tmp_path, print, build=failing)

    assert cached(Recipe(), tmp_path) is None
    assert [f"machine-{Recipe().digest}.lock"] == [path.name for path in tmp_path.iterdir()]
    assert ensure(Recipe(), tmp_path, print, build=small).is_dir()


def test_another_recipe_is_another_tree(tmp_path: Path) -> None:
    """A tree is found by all that it was made of."""
    one = ensure(Recipe(), tmp_path, print, build=small)

    assert cached(Recipe(packages=("systemd",)), tmp_path) is None
    assert one.parent.stat().st_mode & 0o077 == 0


def test_a_tree_that_is_not_roots_own_is_not_started(tmp_path: Path) -> None:
    """Whoever owned it could have put anything into what root starts."""
    tree = ensure(Recipe(), tmp_path, print, build=small)
    os.chown(tree, 65534, 65534)

    assert cached(Recipe(), tmp_path) is None


def test_where_an_overlay_is_refused_a_machine_gets_a_copy(tmp_path: Path) -> None:
    """A colon in the cache's name is enough: the kernel takes it for two folders."""
    why = obstacle()
    need("systemd", not why, why)
    tree = ensure(Recipe(), tmp_path / "with:colon", print, build=small)
    id_ = machine_owner.new_id()
    try:
        place = machine_place.make(id_, tree)

        assert sorted(path.name for path in tree.iterdir()) == sorted(
            path.name for path in place.root.iterdir()
        )
        (place.root / "etc/new").write_text("its own")
        assert not (tree / "etc/new").exists()
    finally:
        machine_owner.clear(id_)
    assert not place.folder.exists()
