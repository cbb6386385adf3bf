"""Members of groups by other protocols than the classic one."""
