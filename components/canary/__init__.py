"""The canary: the candidate answers real rows on the real server before it is pushed."""
