"""Carries an authorised plan out: intent, call, read back, settle, proof. Knows no cloud and no screen."""
