"""One child: prepared before it has anything to do, running, and what it leaves behind."""
