"""The actions, one file a service; each is stateless and has five verbs (DESIGN 5)."""
