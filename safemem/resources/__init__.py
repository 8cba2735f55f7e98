"""What the operating system lends to a program: shared memory, files, mappings, temporary things. It goes back, however the program ends."""
