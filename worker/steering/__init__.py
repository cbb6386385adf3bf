"""What operators order, obeyed in a process: the counterpart of `supervision.callers.standing_orders`."""
