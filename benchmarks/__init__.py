"""Measurements that anybody can repeat: both sides in one run, on real processes, on loopback."""
