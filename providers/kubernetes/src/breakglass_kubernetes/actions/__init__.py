"""One file a kind of thing: each exposes `SPECS`, `ACTION_CLASSES` and `propose`."""
