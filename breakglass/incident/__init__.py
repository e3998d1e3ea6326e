"""The folder of an incident: plan, signatures, journal, evidence, sealed prior state."""
