"""A strict Google Cloud on loopback: gRPC and REST over the message types of Google's own clients."""
