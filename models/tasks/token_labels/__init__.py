"""Labels of words: each word of a text has a tag, such as B-PER; spans of tagged words are entities."""
