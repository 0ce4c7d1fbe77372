"""Whole clusters in virtual time: real coordinators, an invented network, a seed that repeats everything."""
