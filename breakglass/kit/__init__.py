"""The kit: what was agreed in peacetime, read strictly, with all mistakes named at once.

``nodes``, ``fields``, ``files`` and ``complaints`` read the YAML that people write, runbooks included;
``model`` is what comes of it; ``load`` and ``seal`` make it.
"""
