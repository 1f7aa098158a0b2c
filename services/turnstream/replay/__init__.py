"""What analysts do with the turn log: rebuild trackers, run conversations again, take events out and bring them in."""
