"""What operators order, gone by in a process: the counterpart of `supervision.asked.standing_orders`."""
