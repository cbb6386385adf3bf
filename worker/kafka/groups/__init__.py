"""Our member of the group, by either protocol, and how one leaves in the place of a former member."""
