"""A music collection as tables: samples of its songs, their numbers, and what can be learnt from them."""
