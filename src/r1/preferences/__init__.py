"""Preferences: pairs of responses of which one is better, and responses labelled safe or unsafe.

Read (`read`, `source`), drawn from the tiny world (`tiny`), and made by a judge out of a
checkpoint's responses (`responses` -> `questions` -> `make`) or of one's own pairs (`votes`).
"""
