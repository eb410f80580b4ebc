"""Tuning: many searches whose settings Optuna chooses, shared by as many processes and machines as work on one folder."""
