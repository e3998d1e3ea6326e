"""A refusal is told with the security module that may stand behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from breakglass.errors import Denied
from breakglass_host import lsm, safepath


def laid(root: Path, path: str, text: bytes) -> str:
    """Write one file of a kernel as it would say it."""
    place = root / path
    place.parent.mkdir(parents=True)
    place.write_bytes(text)
    return str(root)


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("sys/fs/selinux/enforce", b"1", "SELinux is enforcing here"),
        ("sys/fs/selinux/enforce", b"0", ""),
        ("proc/self/attr/current", b"/usr/bin/x (enforce)\n", "AppArmor holds this process in /usr/bin/x"),
        ("proc/self/attr/current", b"/usr/bin/x (complain)\n", ""),
        ("proc/self/attr/current", b"unconfined\n", ""),
        ("proc/self/attr/current", b"system_u:system_r:init_t:s0\0", ""),
    ],
)
def test_the_module_that_enforces_is_named_and_no_other(
    tmp_path: Path, path: str, text: bytes, said: str
) -> None:
    """As selinux(8) and aa_getcon(2) describe what the kernel says."""
    assert said == lsm.enforcing(laid(tmp_path, path, text))


def test_without_such_a_module_the_kernels_words_stand_alone() -> None:
    """What is refused here is refused by the kernel, or with the module's name behind its words."""
    with pytest.raises(Denied) as caught, safepath.refusals("/x"):
        raise PermissionError(13, "Permission denied")

    name = lsm.enforcing()
    assert caught.value.what == "refused: Permission denied" + (f" ({name})" if name else "")
