"""A music collection as tables: fetched, indexed, sampled, described; on one machine or many."""
