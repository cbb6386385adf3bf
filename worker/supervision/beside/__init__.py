"""What the supervisor has done beside its loop, as it may never come back: its looks at disks."""
