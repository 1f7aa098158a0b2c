"""Hostile input: what reads bytes or requests from outside is given what nobody means well by."""
