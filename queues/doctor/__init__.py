"""What in a deployment breaks the guarantee: checks, each of which tells a finding."""
