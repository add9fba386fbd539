"""What the tests of Terraform share: running it, and the rules that every plan must keep."""
