"""Makes a file again from a sealed copy of its bytes and attributes and its recorded metadata."""

from __future__ import annotations

import os
import secrets

from breakglass.canon import JsonObject, Profile, parse
from breakglass_host import inode

_MAX_ATTRIBUTES = 16 * 1024 * 1024


def rebuild(prior: JsonObject, data: bytes, kept_attributes: bytes, folder_fd: int) -> str:
    """Write the file or link under a new name in a private folder, durably; return the name."""
    name = f"again-{secrets.token_hex(8)}"
    if prior["kind"] == "link":
        os.symlink(os.fsdecode(data), name, dir_fd=folder_fd)
    else:
        made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder_fd)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(made, view) :]
            os.fsync(made)
        finally:
            os.close(made)
    attributes = parse(kept_attributes, where="sealed", profile=Profile.DATA, max_bytes=_MAX_ATTRIBUTES)
    values = attributes if isinstance(attributes, dict) else {}
    inode.put_rights(
        name, folder_fd, prior, {key: bytes.fromhex(str(value)) for key, value in values.items()}
    )
    return name
