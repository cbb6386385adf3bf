"""Who calls handlers: threads, lists, one event loop, or all of them as one."""
