"""What operators order, gone by in a process: the counterpart of `supervision.callers.standing_orders`."""
