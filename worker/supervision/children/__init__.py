"""Children: prepared before they have anything to do, running, and what they leave behind."""
