"""What an adversarial reading of the program found: each test is an attack that once worked."""
