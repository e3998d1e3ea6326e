"""Whether something may happen: signatures, roster, rules, limits. No clock, disk or network is read here."""
