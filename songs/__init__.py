"""A music collection as tables, on one machine or many."""
