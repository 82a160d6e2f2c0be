"""What a CI job calls: the gate with the rules of the merge base, and what it reports to the CI system.

`rules` finds the policy and the suites, `gate_run` runs `tracker gate` and reads its outcome,
`result` says what an outcome means to a CI system, `comment` words it, and `github`, `gitlab` and
`jenkins` publish it. Nothing here judges.
"""
