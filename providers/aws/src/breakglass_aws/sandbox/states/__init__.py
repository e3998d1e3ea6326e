"""What a restore must bring back, read from moto, service by service; nothing that changes by itself."""
