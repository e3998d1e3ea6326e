"""The actions of the GCP provider, one file a service."""
