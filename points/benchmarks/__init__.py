"""Workloads beside the least SQL that does the same rows: what safety and explanation cost, as ratios.

Nothing is imported here: worker processes come in before Django is set up.
"""
