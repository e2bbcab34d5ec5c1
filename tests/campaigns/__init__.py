"""Long trials of what goes wrong, each a command: `python -m tests.campaigns.NAME`.

`make test` has a short form of each in tests/test_campaigns.py.
"""
