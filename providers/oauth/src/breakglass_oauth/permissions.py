"""States the least rights of the executor's own client at the issuer, in the words of the RFCs."""

from __future__ import annotations

REVOKE = "revoke tokens that were issued to the agent's client (RFC 7009 2: otherwise only its own)"
INTROSPECT = (
    "introspect tokens that were issued to the agent's client (RFC 7662 2.1: an authorised resource server)"
)
SWITCH = "POST to the address that disables the agent's client, and to none other of that kind"
READ_CLIENT = "GET the state of the agent's client"
