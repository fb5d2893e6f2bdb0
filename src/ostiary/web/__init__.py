"""Pages that people read: templates, a style sheet, words. It renders what it is given; who may see it is for edges to say."""
