"""A collection of songs as tables: fetched, indexed, described, learned from, on one machine or many."""
